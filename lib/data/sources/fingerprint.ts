import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';

/** What tells whether a file was touched. */
export interface FileFacts {
  /** Relative to the source, with "/". */
  path: string;
  /** Bytes. */
  size: number;
  /** Time of the last change of the content, in nanoseconds. */
  modified: bigint;
}

/** A hash of all files that a source reads, in their order, and of how it reads them. */
export function fingerprintOf(kind: string, files: Iterable<FileFacts>): string {
  const hash = createHash('sha256').update(kind);
  for (const { path, size, modified } of files)
    hash.update(`\n${JSON.stringify([path, size, String(modified)])}`);
  return hash.digest('hex');
}

export async function fileFacts(path: string): Promise<FileFacts> {
  const { size, mtimeNs } = await stat(path, { bigint: true });
  return { path: basename(path), size: Number(size), modified: mtimeNs };
}
