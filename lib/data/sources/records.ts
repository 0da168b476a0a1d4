/** Sources that are images of one size, one after the other, with nothing between them. */
import type { ReadOptions, SourceEntry } from '../source.js';
import { openReader } from './byte-reader.js';
import { asDataError, Fault } from './fault.js';

export interface RecordFile {
  path: string;
  gzipped: boolean;
  headerBytes: number;
  recordBytes: number;
  count: number;
  /** Makes an entry of a record; the bytes are the entry's own. */
  item(record: Uint8Array, index: number): SourceEntry;
}

/** Bytes read in one go. */
const BLOCK_BYTES = 2 ** 20;

export async function* readRecords(
  file: RecordFile,
  { from = 0, signal }: ReadOptions = {},
): AsyncGenerator<SourceEntry> {
  const { path, headerBytes, recordBytes, count } = file;
  try {
    const reader = await openReader(path, file.gzipped);
    const cut = (): Fault => new Fault(`it ends within its ${count} images`);
    try {
      if (!(await reader.skip(headerBytes + Math.min(from, count) * recordBytes))) throw cut();
      const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / recordBytes));
      for (let first = from; first < count; first += perBlock) {
        signal?.throwIfAborted();
        const size = Math.min(perBlock, count - first);
        const block = await reader.take(size * recordBytes);
        if (block === undefined) throw cut();
        for (let i = 0; i < size; i++) {
          yield file.item(block.subarray(i * recordBytes, (i + 1) * recordBytes), first + i);
        }
      }
      if (!(await reader.ended())) throw new Fault(`it has more bytes than its ${count} images take`);
    } finally {
      await reader.close();
    }
  } catch (error) {
    throw asDataError(path, error, signal);
  }
}
