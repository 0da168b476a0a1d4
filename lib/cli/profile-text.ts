/** A profile as tables. */
import type { Profile } from '../profiling/profile.js';
import type { TimeShare } from '../profiling/summary.js';
import { significant } from './format.js';

/** Rows of a table; the rest is summed up. */
const ROWS = 15;

export function profileText({
  what,
  path,
  seconds,
  operations,
  parts,
  arithmetic,
  dropped,
}: Profile): string {
  const lines = [
    `profile of ${what}: ${significant(seconds)} s recorded, trace in ${path} (ui.perfetto.dev)`,
  ];
  lines.push('', ...table('part', parts), '', ...table('operation', operations));
  if (arithmetic) {
    const { flops, rate, peak } = arithmetic;
    const percent = (of: number) => `${((100 * rate) / of).toFixed(0)} %`;
    lines.push(
      '',
      `arithmetic: ${giga(flops)}, ${giga(rate)}/s: ${percent(peak.matmul)} of what a matrix product reaches here (${giga(peak.matmul)}/s), ${percent(peak.convolution)} of a convolution (${giga(peak.convolution)}/s)`,
    );
  }
  if (dropped > 0) lines.push(`${dropped} events were not kept`);
  return lines.join('\n');
}

const giga = (rate: number): string => `${significant(rate / 1e9)} GFLOP`;

function table(heading: string, shares: readonly TimeShare[]): string[] {
  const rows = shares.slice(0, ROWS);
  const rest = shares.slice(ROWS);
  const sum = (key: 'calls' | 'seconds' | 'share') => rest.reduce((all, one) => all + one[key], 0);
  if (rest.length > 0) {
    const name = `${rest.length} others`;
    rows.push({ name, calls: sum('calls'), seconds: sum('seconds'), share: sum('share') });
  }
  const width = Math.max(heading.length, ...rows.map(({ name }) => name.length));
  return [
    `${heading.padEnd(width)}     ms   share   calls`,
    ...rows.map(({ name, calls, seconds, share }) => {
      const numbers = [(seconds * 1e3).toFixed(1).padStart(9), `${(100 * share).toFixed(1)} %`.padStart(8)];
      return `${name.padEnd(width)}${numbers.join('')}${String(calls).padStart(8)}`;
    }),
  ];
}
