/** What an experiment leaves to look at: results.json, table.md, two curves, a sheet of pictures for each contender. */
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/files.js';
import { encodeGrid, spread } from '../lib/generation/grid.js';
import { chart, document, type Frame, type Series } from '../lib/training/chart.js';
import type { Grid } from './grid.js';
import { VALUE_NAMES, type ValueName } from './measure.js';
import type { Point, RunResult } from './runs.js';
import type { PreparedImages } from './sets.js';

/** What is written about the machine. */
export type Facts = Readonly<Record<string, string | number>>;

/** Okabe and Ito's colours. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999'];
const DIGITS = 3;

/** All but the sheet of real images is written anew after each run. Throws OutputError. */
export async function writeReport(
  folder: string,
  grid: Grid,
  facts: Facts,
  results: readonly RunResult[],
): Promise<void> {
  const stored = results.map(({ run, parameters, points }) => ({ ...run, parameters, points }));
  const text = `${JSON.stringify({ grid, facts, results: stored }, null, 1)}\n`;
  await writeFileAtomic(join(folder, 'results.json'), [text]);
  await writeFileAtomic(join(folder, 'table.md'), [table(results)]);
  const images = curves(results, 'images seen', (point) => point.images);
  await writeFileAtomic(join(folder, 'curve-images.svg'), [images]);
  const seconds = curves(results, 'seconds of training', (point) => Math.round(point.seconds));
  await writeFileAtomic(join(folder, 'curve-seconds.svg'), [seconds]);
  for (const { run, sample } of results)
    await writeFileAtomic(join(folder, `${run.contender}-seed-${run.seed}.png`), [await encodeGrid(sample)]);
}

/** `count` of the real images, evenly spread over the set: the first ones may all be of one kind. */
export const writeReal = async (folder: string, { real }: PreparedImages, count: number): Promise<void> =>
  writeFileAtomic(join(folder, 'real.png'), [await encodeGrid(spread(real, count))]);

/** Markdown: a row a contender, in the order of the grid, its values at the last point; of seeds mean and deviation. */
export function table(results: readonly RunResult[]): string {
  const names = VALUE_NAMES.filter((name) =>
    results.some(({ points }) => points.at(-1)?.values[name] !== undefined),
  );
  const head = ['', 'parameters', 'images', 'seconds', 'seeds', ...names];
  const rows = [...byContender(results)].map(([contender, runs]) => {
    const last = runs.flatMap(({ points }) => points.at(-1) ?? []);
    return [
      contender,
      thousands(runs[0]?.parameters ?? 0),
      thousands(last[0]?.images ?? 0),
      spreadText(last.map(({ seconds }) => seconds)),
      String(runs.length),
      ...names.map((name) => spreadText(last.flatMap(({ values }) => values[name] ?? []))),
    ];
  });
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return `${[line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')}\n`;
}

const WIDTH = 720;
const HEIGHT = 420;
const FRAME: Frame = { left: 62, right: WIDTH - 40, top: 66, bottom: HEIGHT - 32, ticks: { x: 7, y: 5 } };
/** Width of a character, about, in the SVG's units. */
const CHARACTER = 7.6;

/** The Fréchet distance of the first seed, where there is one, otherwise the patches' distance. */
function curves(results: readonly RunResult[], title: string, x: (point: Point) => number): string {
  const has = (name: ValueName) =>
    results.some(({ points }) => points.some(({ values }) => values[name] !== undefined));
  const name: ValueName = has('fd') ? 'fd' : 'swd';
  const series = [...byContender(results)].map(([label, [first]], i): Series => {
    const raw = (first?.points ?? []).flatMap((point): [number, number][] => {
      const value = point.values[name];
      return value === undefined ? [] : [[x(point), value]];
    });
    return { label, name: `contender-${i}`, colour: COLOURS[i % COLOURS.length] as string, raw };
  });
  const last = Math.max(1, ...results.flatMap(({ points }) => points.map(x)));
  const heading = `${name === 'fd' ? 'Fréchet distance' : 'Sliced Wasserstein distance'} over ${title}`;
  let left = FRAME.left;
  const labels = series.flatMap(({ label, colour }) => {
    const parts = [
      `<path d="M${left} 45h12" stroke="${colour}" stroke-width="3"/>`,
      `<text x="${left + 18}" y="49">${label}</text>`,
    ];
    left += 34 + label.length * CHARACTER;
    return parts;
  });
  return document(WIDTH, HEIGHT, heading, [
    `<text x="${FRAME.left}" y="24" font-weight="600">${heading}</text>`,
    ...labels,
    ...chart(FRAME, series, last),
  ]);
}

function byContender(results: readonly RunResult[]): Map<string, RunResult[]> {
  const groups = new Map<string, RunResult[]>();
  for (const result of results)
    groups.set(result.run.contender, [...(groups.get(result.run.contender) ?? []), result]);
  return groups;
}

/** "12.3", of several "12.3 ± 0.4": their mean and deviation (n - 1). */
export function spreadText(values: readonly number[]): string {
  if (values.length === 0) return '';
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  if (values.length === 1) return rounded(mean);
  const variance = values.reduce((all, value) => all + (value - mean) ** 2, 0) / (values.length - 1);
  return `${rounded(mean)} ± ${rounded(Math.sqrt(variance), DIGITS - 1)}`;
}

const rounded = (value: number, digits = DIGITS): string => String(Number(value.toPrecision(digits)));
const thousands = (value: number): string =>
  value < 10_000 ? String(value) : `${Math.round(value / 1000)}k`;
