/** Warnings that several commands have in common, one line each on stderr. */
import type { DamagedCheckpoint } from '../checkpoint/checkpoint.js';
import type { Skipped } from '../data/folder.js';
import { printable } from '../shown.js';

export function warn(message: string): void {
  process.stderr.write(`warning: ${message}\n`);
}

export function warnDamaged(damaged: readonly DamagedCheckpoint[]): void {
  for (const { reason } of damaged) {
    process.stderr.write(`warning: passed over a damaged checkpoint: ${reason}\n`);
  }
}

export function warnLibtorch(texts: readonly string[]): void {
  for (const text of texts) process.stderr.write(`warning: LibTorch: ${text.trim()}\n`);
}

export function warnSkipped(skipped: readonly Skipped[]): void {
  const [first] = skipped;
  if (first === undefined) return;
  warn(printable(`skipped ${skipped.length} files, such as ${first.path}: ${first.reason}`));
}
