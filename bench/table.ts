/** Results for people. */
import { bytes, significant } from '../lib/cli/format.js';
import type { Table } from './case.js';
import type { Machine } from './machine.js';
import type { ComparisonResult, ContenderResult } from './rounds.js';
import type { Spread } from './statistics.js';

/** From this load on the numbers are called disturbed. */
const BUSY = 0.5;

export function machineText(machine: Machine): string {
  const { cpu, cores, memory, system, node, libtorch, capability, threads, load, peers, date } = machine;
  const lines = [
    `${date.slice(0, 16).replace('T', ' ')} UTC · ${cpu}, ${cores} cores, ${bytes(memory)} · ${system}`,
    `Node ${node}, LibTorch ${libtorch}, ${capability}, ${threads} threads each · peers: ${peers ?? 'none'}`,
  ];
  if (machine.gpu !== undefined) lines.push(machine.gpu);
  if (load > BUSY)
    lines.push(`the machine was busy (load ${load.toFixed(1)}): trust the ratios more than the rates`);
  return lines.join('\n');
}

export function comparisonText(result: ComparisonResult): string {
  const { label, unit, measure, results, agreement, best } = result;
  const rows = results.filter(({ rate }) => rate).map((one) => row(one, measure));
  const head = ['', measure === 'rate' ? `${unit}/s` : 's', 'min … max', 'we are', 'min … max', 'memory'];
  const lines = [label, ...layOut([head, ...rows])];
  for (const { name, error } of results)
    if (error !== undefined) lines.push(`  ${name} failed: ${oneLine(error)}`);
  for (const { name, notes } of results)
    for (const [note, value] of Object.entries(notes)) lines.push(`  ${name}: ${note} ${significant(value)}`);
  lines.push(...agreement.map((line) => `  ${line}`));
  if (best) lines.push(`  ${spreadText(best.ratio, '×')} the speed of the best other one, ${best.name}`);
  return lines.join('\n');
}

export const tableText = ({ label, head, rows, lines }: Table): string =>
  [label, ...layOut([head, ...rows]), ...lines.map((line) => `  ${line}`)].join('\n');

function row(
  { name, rate, ratio, peakMemory }: ContenderResult,
  measure: ComparisonResult['measure'],
): string[] {
  const shown = rate && (measure === 'rate' ? rate : inverted(rate));
  return [
    name,
    shown ? significant(shown.median) : '',
    shown ? `${significant(shown.min)} … ${significant(shown.max)}` : '',
    ratio ? `${ratio.median.toFixed(2)}×` : '',
    ratio ? `${ratio.min.toFixed(2)} … ${ratio.max.toFixed(2)}` : '',
    peakMemory === undefined ? '' : bytes(peakMemory),
  ];
}

const inverted = ({ median, min, max }: Spread): Spread => ({
  median: 1 / median,
  min: 1 / max,
  max: 1 / min,
});

const spreadText = ({ median, min, max }: Spread, unit: string): string =>
  `${median.toFixed(2)}${unit} (${min.toFixed(2)} … ${max.toFixed(2)})`;

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, 600);

/** Columns as wide as their widest cell, the first to the left, the others to the right. */
export function layOut(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  return rows.map((cells) => {
    const padded = cells.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    return `  ${padded.join('  ')}`.trimEnd();
  });
}
