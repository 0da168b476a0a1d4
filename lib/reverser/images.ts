/** Images from any source that train() takes, at the network's size, in batches and by name. */
import { readFile } from 'node:fs/promises';
import type { Config } from '../config/schema.js';
import { openData, type PreparedSet, RowReader } from '../data/dataset.js';
import { decodeImage, UnusableImage } from '../data/decode.js';
import type { Skipped } from '../data/folder.js';
import { imageKind } from '../data/kind.js';
import { DataError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import type { MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch } from '../native.js';

/** Images and what they are called in their source, one name an image. */
export interface NamedImages {
  images: ImageBatch;
  names: string[];
}

const BATCH = 256;

/** What images come from: a prepared set, or memory. */
type Source = Pick<PreparedSet, 'skipped' | 'shape'> & {
  names?: readonly string[] | undefined;
  read(indices: readonly number[]): Promise<ImageBatch>;
  close(): Promise<void>;
};

/**
 * The images of a source as a network of these settings takes them, read where they lie prepared; or those in memory. A
 * prepared set is held open, so that it stays readable when the cache is cleared: to be declared by `await using`, which
 * closes it.
 */
export class ImageReader {
  private readonly source: Source;
  private readonly names: readonly string[];
  private readonly control: MeasureControl;

  private constructor(source: Source, control: MeasureControl) {
    this.source = source;
    this.names = source.names ?? Array.from({ length: source.shape[0] }, (_, i) => `row ${i}`);
    this.control = control;
  }

  /** A batch must be of the network's size. Throws what openData() throws. */
  static async open(
    data: string | ImageBatch,
    config: Config,
    control: MeasureControl,
  ): Promise<ImageReader> {
    if (typeof data !== 'string') return new ImageReader(inMemory(data), control);
    const { signal, onProgress } = control;
    const set = await openData(data, config, {
      signal,
      onProgress: ({ done, total }) => onProgress?.('preparing images', done, total ?? 0),
    });
    const { skipped, shape, names } = set;
    const rows = await RowReader.open(set);
    const read = (indices: readonly number[]) => rows.read(indices);
    return new ImageReader({ skipped, shape, names, read, close: () => rows.close() }, control);
  }

  /** Usable images. */
  get count(): number {
    return this.names.length;
  }

  get skipped(): readonly Skipped[] {
    return this.source.skipped;
  }

  /** All images in the order of the source, some at a time; `what` is being done with them. */
  async *batches(what: string): AsyncGenerator<NamedImages, void, void> {
    const { names } = this;
    const { signal, onProgress } = this.control;
    for (let start = 0; start < names.length; start += BATCH) {
      signal?.throwIfAborted();
      onProgress?.(what, start, names.length);
      yield this.at(Array.from({ length: Math.min(BATCH, names.length - start) }, (_, i) => start + i));
    }
  }

  /** Up to `count` images, evenly spread over the source. */
  async spread(count: number): Promise<NamedImages> {
    const { length } = this.names;
    const taken = Math.min(count, length);
    return this.at(Array.from({ length: taken }, (_, i) => Math.floor((i * length) / taken)));
  }

  /** The images of these indices in the order of the source; names may be there twice, as in an archive. */
  async at(indices: readonly number[]): Promise<NamedImages> {
    const names = indices.map((index) => this.names[index] as string);
    return { images: await this.source.read(indices), names };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source.close();
  }
}

function inMemory({ data, shape }: ImageBatch): Source {
  const [count, ...item] = shape;
  const size = data.length / count;
  return {
    skipped: [],
    shape,
    read: async (indices) => {
      const images = new Uint8Array(indices.length * size);
      for (const [i, index] of indices.entries())
        images.set(data.subarray(index * size, (index + 1) * size), i * size);
      return { data: images, shape: [indices.length, ...item] };
    },
    close: async () => {},
  };
}

/** One image file at the network's size. Throws DataError. */
export async function readImage(path: string, format: Config, signal?: AbortSignal): Promise<ImageBatch> {
  const { imageSize, imageChannels } = format;
  const fail = (code: 'ERR_SAN_DATA_NOT_FOUND' | 'ERR_SAN_DATA_FORMAT', reason: string, cause?: unknown) =>
    new DataError(code, `cannot read the image ${path}: ${reason}`, { path }, { cause });
  const bytes = await readFile(path, { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw fail('ERR_SAN_DATA_NOT_FOUND', fileErrorReason(error), error);
  });
  const kind = imageKind(bytes);
  if (kind === undefined) throw fail('ERR_SAN_DATA_FORMAT', 'it is not an image of a known kind');
  try {
    const data = await decodeImage(bytes, kind, format);
    return { data, shape: [1, imageSize, imageSize, imageChannels] };
  } catch (error) {
    if (error instanceof UnusableImage) throw fail('ERR_SAN_DATA_FORMAT', error.message, error);
    throw error;
  }
}
