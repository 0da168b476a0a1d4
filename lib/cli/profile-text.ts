/** A profile as tables. */
import type { Profile } from '../profiling/profile.js';
import type { TimeShare } from '../profiling/summary.js';
import { significant } from './format.js';

/** Rows of a table; the rest is summed up. */
const ROWS = 15;
/** Letters of a name. */
const LONGEST = 90;

export function profileText({
  what,
  path,
  seconds,
  operations,
  parts,
  onDevice,
  arithmetic,
  dropped,
}: Profile): string {
  const lines = [
    `profile of ${what}: ${significant(seconds)} s recorded, trace in ${path} (ui.perfetto.dev)`,
  ];
  lines.push('', ...table('part', parts), '', ...table('operation', operations));
  if (onDevice) {
    const { seconds, busy, kernels } = onDevice;
    lines.push(
      '',
      `on the GPU: ${(seconds * 1e3).toFixed(1)} ms from the first kernel to the end of the last one, busy in ${percentOf(busy, seconds)}; the times above are those of handing it work`,
      ...table('kernel', kernels),
    );
  }
  if (arithmetic) {
    const { flops, rate, peak } = arithmetic;
    lines.push(
      '',
      `arithmetic: ${flopText(flops)}, ${flopText(rate)}/s: ${percentOf(rate, peak.matmul)} of what a matrix product reaches here (${flopText(peak.matmul)}/s), ${percentOf(rate, peak.convolution)} of a convolution (${flopText(peak.convolution)}/s)`,
    );
  }
  if (dropped > 0) lines.push(`${dropped} events were not kept`);
  return lines.join('\n');
}

const percentOf = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(0)} %`;

const flopText = (flops: number): string =>
  flops < 1e12 ? `${significant(flops / 1e9)} GFLOP` : `${significant(flops / 1e12)} TFLOP`;

function table(heading: string, shares: readonly TimeShare[]): string[] {
  const rows = shares.slice(0, ROWS);
  const rest = shares.slice(ROWS);
  const sum = (key: 'calls' | 'seconds' | 'share') => rest.reduce((all, one) => all + one[key], 0);
  if (rest.length > 0) {
    const name = `${rest.length} others`;
    rows.push({ name, calls: sum('calls'), seconds: sum('seconds'), share: sum('share') });
  }
  // The templates of a GPU's libraries have names of a thousand letters; the trace holds them whole.
  for (const [i, row] of rows.entries())
    if (row.name.length > LONGEST) rows[i] = { ...row, name: `${row.name.slice(0, LONGEST - 1)}…` };
  const width = Math.max(heading.length, ...rows.map(({ name }) => name.length));
  return [
    `${heading.padEnd(width)}     ms   share   calls`,
    ...rows.map(({ name, calls, seconds, share }) => {
      const numbers = [(seconds * 1e3).toFixed(1).padStart(9), `${(100 * share).toFixed(1)} %`.padStart(8)];
      return `${name.padEnd(width)}${numbers.join('')}${String(calls).padStart(8)}`;
    }),
  ];
}
