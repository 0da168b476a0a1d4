import type { Skipped } from '../data/folder.js';
import { printable } from '../shown.js';
import { warnSkipped } from './warn.js';

/**
 * What a command has to say in the end: with `json` the result as one object on stdout; else warnings about files that
 * could not be used and `lines`, unless `quiet`.
 */
export function printResult<T extends { skipped: readonly Skipped[] }>(
  { json, quiet }: { json: boolean; quiet: boolean },
  result: T,
  lines: (result: T) => readonly string[],
): void {
  if (!quiet) warnSkipped(result.skipped);
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else if (!quiet) process.stdout.write(`${lines(result).map(printable).join('\n')}\n`);
}
