import type { Skipped } from '../data/folder.js';
import { printable } from '../shown.js';

/** Skipped files that are named. */
const SHOWN = 3;

/** A few lines on what could not be used; none where there was nothing. `list` is where all of it stands. */
export function skippedLines(skipped: readonly Skipped[], list: string): string[] {
  if (skipped.length === 0) return [];
  const shown = skipped.slice(0, SHOWN).map(({ path, reason }) => printable(`  ${path}: ${reason}`));
  return [
    `skipped ${skipped.length} files, listed with reasons in ${list}:`,
    ...shown,
    ...(skipped.length > SHOWN ? ['  ...'] : []),
  ];
}
