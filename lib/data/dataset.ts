/** Loads training images, all into memory, from a folder of image files or from an IDX file. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { DataError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import type { ImageBatch } from '../native.js';
import { decodeImage, type ImageFormat, UnusableImage } from './decode.js';
import { byPath, findImages, type ImageFile, type Skipped } from './folder.js';
import { readIdx } from './idx.js';
import { allocateImages } from './memory.js';
import { eachInParallel } from './parallel.js';

export interface LoadOptions extends ImageFormat {
  /** After an abort the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called with the number of images read and of those to read, after each few. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface LoadedImages {
  /** [N, imageSize, imageSize, imageChannels]. A folder's images are ordered by path, an IDX file's as in the file. */
  images: ImageBatch;
  /** Files of the folder that could not be used, ordered by path. */
  skipped: Skipped[];
  source: { kind: 'folder' | 'idx'; path: string };
  /** SHA-256 of shape and pixels in hexadecimal: equal for equal data, wherever it comes from. */
  hash: string;
}

/**
 * Files in work at once. libuv runs four at a time by default; the others are being read from the disk. At 100
 * megapixels each this bounds the memory taken besides the result.
 */
const IN_PARALLEL = 8;
/** Largest image file in bytes: 100 megapixels of four 16-bit channels fit, uncompressed. */
const MAX_FILE_BYTES = 2 ** 30;
/** Bytes hashed in one go: a few milliseconds. */
const HASH_BYTES = 2 ** 22;

/**
 * Loads all images of `source`: a folder, searched with the folders in it for PNG, JPEG, WebP, GIF, AVIF and TIFF
 * files, or an IDX file of images (the format of MNIST), plain or gzipped. JavaScript stays free for other work.
 *
 * Throws DataError: ERR_SAN_DATA_NOT_FOUND when there is nothing at `source`; ERR_SAN_DATA_EMPTY when no image in it
 * can be used; ERR_SAN_DATA_FORMAT for a file that is not a whole IDX file of images; ERR_SAN_OUT_OF_MEMORY.
 */
export async function loadImages(source: string, options: LoadOptions): Promise<LoadedImages> {
  const kind = await kindOf(source);
  const { images, skipped } =
    kind === 'folder'
      ? await loadFolder(source, options)
      : { images: await readIdx(source, options), skipped: [] };
  const hash = await hashImages(images, options.signal);
  return { images, skipped, source: { kind, path: source }, hash };
}

async function kindOf(path: string): Promise<'folder' | 'idx'> {
  const found = await stat(path).catch((error: unknown) => {
    const reason = fileErrorReason(error);
    throw new DataError(
      'ERR_SAN_DATA_NOT_FOUND',
      `cannot find the data ${path}: ${reason}`,
      { path },
      { cause: error },
    );
  });
  if (found.isDirectory()) return 'folder';
  if (found.isFile()) return 'idx';
  throw new DataError('ERR_SAN_DATA_FORMAT', `the data ${path} is neither a folder nor a file`, { path });
}

async function loadFolder(root: string, options: LoadOptions) {
  const { imageSize, imageChannels, signal, onProgress } = options;
  const { images: files, skipped } = await findImages(root, signal);
  if (files.length === 0) throw emptyFolder(root, skipped);
  const imageBytes = imageSize * imageSize * imageChannels;
  const pixels = allocateImages(root, files.length, options);
  const failures = new Map<number, Skipped>();
  let done = 0;
  await eachInParallel(files.entries(), IN_PARALLEL, signal, async ([index, file]) => {
    try {
      pixels.set(await loadFile(root, file, options), index * imageBytes);
    } catch (error) {
      if (!(error instanceof UnusableImage)) throw error;
      failures.set(index, { path: file.path, reason: error.message });
    }
    onProgress?.(++done, files.length);
  });
  skipped.push(...failures.values());
  skipped.sort(byPath);
  const count = files.length - failures.size;
  if (count === 0) throw emptyFolder(root, skipped);
  const shape: ImageBatch['shape'] = [count, imageSize, imageSize, imageChannels];
  return { images: { data: withoutGaps(pixels, imageBytes, failures), shape }, skipped };
}

async function loadFile(root: string, { path, kind }: ImageFile, format: ImageFormat): Promise<Uint8Array> {
  let bytes: Buffer;
  try {
    const { size } = await stat(join(root, path));
    if (size > MAX_FILE_BYTES) throw new UnusableImage('it is larger than 1 GiB');
    bytes = await readFile(join(root, path));
  } catch (error) {
    throw error instanceof UnusableImage ? error : new UnusableImage(fileErrorReason(error));
  }
  return decodeImage(bytes, kind, format);
}

/** Closes the gaps that unusable images have left. */
function withoutGaps(pixels: Uint8Array, imageBytes: number, gaps: ReadonlyMap<number, unknown>): Uint8Array {
  if (gaps.size === 0) return pixels;
  let to = 0;
  for (let from = 0; from < pixels.length; from += imageBytes) {
    if (gaps.has(from / imageBytes)) continue;
    pixels.copyWithin(to, from, from + imageBytes);
    to += imageBytes;
  }
  return pixels.subarray(0, to);
}

function emptyFolder(path: string, skipped: readonly Skipped[]): DataError {
  const counts = new Map<string, number>();
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const [commonest] = [...counts].sort(([, a], [, b]) => b - a);
  const why =
    commonest === undefined
      ? 'it is empty'
      : `files found: ${skipped.length}; commonest fault (${commonest[1]} of them): ${commonest[0]}`;
  return new DataError('ERR_SAN_DATA_EMPTY', `no image in ${path} can be used; ${why}`, { path });
}

async function hashImages({ data, shape }: ImageBatch, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256').update(`${shape.join('x')}\n`);
  for (let at = 0; at < data.length; at += HASH_BYTES) {
    hash.update(data.subarray(at, at + HASH_BYTES));
    await setImmediate();
    signal?.throwIfAborted();
  }
  return hash.digest('hex');
}
