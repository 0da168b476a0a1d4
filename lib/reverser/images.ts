/** Images from any source that train() takes, at the network's size, in batches and by name. */
import { readFile, stat } from 'node:fs/promises';
import type { Config } from '../config/schema.js';
import { loadImages } from '../data/dataset.js';
import { decodeImage, UnusableImage } from '../data/decode.js';
import { findImages, type Skipped } from '../data/folder.js';
import { imageKind } from '../data/kind.js';
import { DataError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import type { MeasureControl } from '../metrics/blocks.js';
import { imagesFrom } from '../metrics/blocks.js';
import type { ImageBatch } from '../native.js';

/** Images and what they are called in their source, one name an image. */
export interface NamedImages {
  images: ImageBatch;
  names: string[];
}

const BATCH = 256;

export class ImageReader {
  private readonly all: NamedImages;
  readonly skipped: readonly Skipped[];

  private readonly control: MeasureControl;

  private constructor(all: NamedImages, skipped: readonly Skipped[], control: MeasureControl) {
    this.all = all;
    this.control = control;
    this.skipped = skipped;
  }

  static async open(
    path: string,
    { imageSize, imageChannels, background }: Config,
    control: MeasureControl,
  ): Promise<ImageReader> {
    const { signal, onProgress } = control;
    const { images, skipped, source } = await loadImages(path, {
      imageSize,
      imageChannels,
      background,
      signal,
      onProgress: (done, total) => onProgress?.('reading images', done, total),
    });
    const unusable = new Set(skipped.map((entry) => entry.path));
    const names =
      source.kind === 'folder' && (await stat(path)).isDirectory()
        ? (await findImages(path, signal)).images
            .map((file) => file.path)
            .filter((name) => !unusable.has(name))
        : Array.from({ length: images.shape[0] }, (_, i) => `row ${i}`);
    return new ImageReader({ images, names }, skipped, control);
  }

  /** All images in the order of the source, some at a time; `what` is being done with them. */
  async *batches(what: string): AsyncGenerator<NamedImages, void, void> {
    const { images, names } = this.all;
    const { signal, onProgress } = this.control;
    for (let start = 0; start < names.length; start += BATCH) {
      signal?.throwIfAborted();
      onProgress?.(what, start, names.length);
      const count = Math.min(BATCH, names.length - start);
      yield { images: imagesFrom(images, start, count), names: names.slice(start, start + count) };
    }
  }

  async spread(count: number): Promise<NamedImages> {
    const { names } = this.all;
    const taken = Math.min(count, names.length);
    return this.pick(
      Array.from({ length: taken }, (_, i) => names[Math.floor((i * names.length) / taken)] as string),
    );
  }

  async pick(wanted: readonly string[]): Promise<NamedImages> {
    const { images, names } = this.all;
    const places = new Map(names.map((name, i) => [name, i]));
    const [, ...item] = images.shape;
    const size = item.reduce((a, b) => a * b, 1);
    const data = new Uint8Array(wanted.length * size);
    for (const [i, name] of wanted.entries()) {
      const at = (places.get(name) as number) * size;
      data.set(images.data.subarray(at, at + size), i * size);
    }
    return { images: { data, shape: [wanted.length, ...item] }, names: [...wanted] };
  }
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
