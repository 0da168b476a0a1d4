/** Images that are ready for training: rows of a .npy file, read where they lie. */
import { type FileHandle, open } from 'node:fs/promises';
import { DataError } from '../../errors.js';
import { fileErrorReason } from '../../files.js';
import type { ImageBatch } from '../../native.js';
import type { Skipped } from '../folder.js';
import { NPY_HEADER_BYTES, npyHeader } from '../npy.js';
import { hashPixels, type Manifest, readManifest, type Shape } from './manifest.js';

export interface PreparedSet {
  /** A .npy file of unsigned bytes, C order. */
  path: string;
  /** [N, imageSize, imageSize, imageChannels]. */
  shape: Shape;
  /** Where in the file the pixels begin. */
  offset: number;
  /** SHA-256, in hexadecimal, of shape and pixels: equal for equal data, wherever it comes from. */
  hash: string;
  /** Files of the source that could not be used, ordered by path. */
  skipped: Skipped[];
  source: { kind: string; path: string };
  /** Class of each image: a number, or an index of `classes`; absent where the source has none. */
  labels?: (number | null)[] | undefined;
  classes?: string[] | undefined;
  /** Name of each image in the source, where they are files there. */
  names?: string[] | undefined;
}

/** Up to so many bytes a set is hashed each time it is opened: less than a second of reading. */
const ALWAYS_HASHED = 2 ** 30;

export function setOf(path: string, manifest: Manifest): PreparedSet {
  const { shape, hash, skipped, source, labels, classes, names } = manifest;
  return {
    path,
    shape,
    offset: NPY_HEADER_BYTES,
    hash,
    skipped,
    source: { kind: source.kind, path: source.path },
    ...(labels && { labels }),
    ...(classes && { classes }),
    ...(names && { names }),
  };
}

/**
 * The manifest of the prepared file `npy`, if both are there and belong together: header and size are compared, and the
 * hash as well unless the file is large and was not written to since. Undefined otherwise.
 */
export async function verifiedManifest(
  npy: string,
  signal?: AbortSignal | undefined,
): Promise<Manifest | undefined> {
  const manifest = await readManifest(npy);
  if (manifest === undefined) return undefined;
  const { shape, file, hash } = manifest;
  const handle = await open(npy, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { size, mtimeMs } = await handle.stat();
    const { buffer } = await handle.read(Buffer.alloc(NPY_HEADER_BYTES), 0, NPY_HEADER_BYTES, 0);
    if (size !== file.bytes || size !== NPY_HEADER_BYTES + bytesOf(shape)) return undefined;
    if (!buffer.equals(npyHeader(shape))) return undefined;
    if (mtimeMs === file.modified && size > ALWAYS_HASHED) return manifest;
  } finally {
    await handle.close();
  }
  return (await hashPixels(npy, { offset: NPY_HEADER_BYTES, shape }, signal)) === hash ? manifest : undefined;
}

const bytesOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Up to `count` images of a set, evenly spread over it. Throws DataError when the file cannot be read. */
export async function spreadRows(set: PreparedSet, count: number): Promise<ImageBatch> {
  const [available] = set.shape;
  const taken = Math.min(count, available);
  return readRows(
    set,
    Array.from({ length: taken }, (_, i) => Math.floor((i * available) / taken)),
  );
}

/** What of a set its images are read by. */
type Rows = Pick<PreparedSet, 'path' | 'shape' | 'offset'>;

/** The images of these indices. Throws DataError when the file cannot be read. */
export async function readRows(set: Rows, indices: readonly number[]): Promise<ImageBatch> {
  const reader = await RowReader.open(set);
  try {
    return await reader.read(indices);
  } finally {
    await reader.close();
  }
}

/** A set that is held open until close(): it can be read to the end, even when the cache has removed it meanwhile. */
export class RowReader {
  private readonly set: Rows;
  private readonly handle: FileHandle;

  private constructor(set: Rows, handle: FileHandle) {
    this.set = set;
    this.handle = handle;
  }

  /** Throws DataError when the file cannot be read. */
  static async open(set: Rows): Promise<RowReader> {
    return new RowReader(set, await readable(set.path, () => open(set.path, 'r')));
  }

  /** The images of these indices. Throws DataError when the file cannot be read. */
  async read(indices: readonly number[]): Promise<ImageBatch> {
    const [, ...image] = this.set.shape;
    const size = bytesOf(image);
    const data = new Uint8Array(indices.length * size);
    await readable(this.set.path, async () => {
      for (let i = 0; i < indices.length; ) {
        // Neighbours in one go.
        let run = 1;
        while (indices[i + run] === (indices[i] as number) + run) run++;
        const position = this.set.offset + (indices[i] as number) * size;
        await this.fill(data.subarray(i * size, (i + run) * size), position);
        i += run;
      }
    });
    return { data, shape: [indices.length, ...image] };
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async fill(target: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const length = Math.min(target.length - done, 2 ** 30);
      const { bytesRead } = await this.handle.read(target, done, length, position + done);
      if (bytesRead === 0) throw new Error('it has become shorter');
      done += bytesRead;
    }
  }
}

async function readable<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw new DataError(
      'ERR_SAN_DATA_FORMAT',
      `cannot read the prepared images ${path}: ${fileErrorReason(error)}`,
      { path },
      { cause: error },
    );
  }
}
