/** Reads images from IDX files, the format of MNIST and Fashion-MNIST: a small header, then plain bytes. */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { DataError, SanError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import type { ImageBatch } from '../native.js';
import { ByteQueue } from './byte-queue.js';
import type { ImageFormat } from './decode.js';
import { HEAD_BYTES, imageKind } from './kind.js';
import { allocateImages } from './memory.js';
import { eachInParallel } from './parallel.js';
import { type RawImages, resizeImages } from './resize.js';

interface ReadOptions extends ImageFormat {
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What the header says: N images of height × width × channels unsigned bytes. */
interface Header {
  count: number;
  height: number;
  width: number;
  channels: 1 | 3;
}

/** What is wrong with the file, to be shown after its path. */
class Fault extends Error {}

const ELEMENT_TYPES = new Map([
  [0x08, 'unsigned bytes'],
  [0x09, 'signed bytes'],
  [0x0b, '16-bit integers'],
  [0x0c, '32-bit integers'],
  [0x0d, '32-bit floats'],
  [0x0e, '64-bit floats'],
]);
const UNSIGNED_BYTE = 0x08;
const MAX_PIXELS = 100_000_000;
/** Bytes of images that are resized in one call: a few milliseconds of copying. */
const CHUNK_BYTES = 2 ** 18;
const CHUNKS_IN_PARALLEL = 4;
/** Deflate makes at most 1,032 bytes of one. */
const MAX_INFLATION = 1032;

/**
 * Reads all images of an IDX file, plain or gzipped, told by its content: unsigned bytes, three dimensions (N, height,
 * width) for grey or four (N, height, width, 1 or 3). Each is cropped to its centred square and resized. The file is
 * read as a stream; a header that announces more than the file can hold is refused before memory is taken.
 *
 * Throws DataError: ERR_SAN_DATA_FORMAT, ERR_SAN_DATA_EMPTY for a file of no images, ERR_SAN_OUT_OF_MEMORY.
 */
export async function readIdx(path: string, options: ReadOptions): Promise<ImageBatch> {
  const { imageSize, imageChannels, signal } = options;
  try {
    const gzipped = await isGzipped(path);
    const { size } = await stat(path);
    let images: Uint8Array | undefined;
    const consume = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
      images = await readImages(new ByteQueue(source), { path, size, gzipped }, options);
    };
    const file = createReadStream(path, { highWaterMark: 2 ** 18 });
    await (gzipped ? pipeline(file, createGunzip({ chunkSize: 2 ** 18 }), consume) : pipeline(file, consume));
    const data = images as Uint8Array;
    return {
      data,
      shape: [data.length / imageSize ** 2 / imageChannels, imageSize, imageSize, imageChannels],
    };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof SanError) throw error;
    const { code = '' } = error as NodeJS.ErrnoException;
    const reason =
      error instanceof Fault
        ? error.message
        : code.startsWith('Z_')
          ? 'its gzip data is damaged or cut short'
          : fileErrorReason(error);
    throw new DataError(
      'ERR_SAN_DATA_FORMAT',
      `cannot read images from ${path}: ${reason}`,
      { path },
      { cause: error },
    );
  }
}

/** Looks at the first bytes, and refuses what is plainly something else. */
async function isGzipped(path: string): Promise<boolean> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const kind = imageKind(buffer.subarray(0, bytesRead));
    if (kind !== undefined) throw new Fault(`it is a single ${kind} image; give the folder that it is in`);
    return bytesRead >= 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}

interface FileFacts {
  path: string;
  /** Bytes on the disk. */
  size: number;
  gzipped: boolean;
}

async function readImages(queue: ByteQueue, file: FileFacts, options: ReadOptions): Promise<Uint8Array> {
  const { path } = file;
  const { signal, onProgress } = options;
  const { count, height, width, channels } = await readHeader(queue, file);
  if (count === 0) throw new DataError('ERR_SAN_DATA_EMPTY', `${path} is an IDX file of no images`, { path });
  const target = allocateImages(path, count, options);
  const targetBytes = target.length / count;
  const sourceBytes = height * width * channels;
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / sourceBytes));

  async function* chunks(): AsyncGenerator<{ first: number; images: RawImages }> {
    for (let first = 0; first < count; first += perChunk) {
      const size = Math.min(perChunk, count - first);
      const data = await queue.take(size * sourceBytes);
      if (data === undefined) throw new Fault(`it ends within its ${count} images`);
      yield { first, images: { data, count: size, height, width, channels } };
    }
  }
  let done = 0;
  await eachInParallel(chunks(), CHUNKS_IN_PARALLEL, signal, async ({ first, images }) => {
    target.set(await resizeImages(images, options), first * targetBytes);
    done += images.count;
    onProgress?.(done, count);
  });
  if (!(await queue.ended())) throw new Fault(`it has more bytes than its ${count} images take`);
  return target;
}

/** The magic number (two zero bytes, the type of the elements, the number of dimensions), then the dimensions. */
async function readHeader(queue: ByteQueue, { size, gzipped }: FileFacts): Promise<Header> {
  const magic = await queue.take(4);
  const [zero, alsoZero, type, rank] = magic ?? [];
  const typeName = ELEMENT_TYPES.get(type ?? 0);
  if (magic === undefined || zero !== 0 || alsoZero !== 0 || typeName === undefined || rank === undefined) {
    throw new Fault(
      gzipped ? 'what it has compressed is not an IDX file' : 'it is neither a folder nor an IDX file',
    );
  }
  if (type !== UNSIGNED_BYTE) throw new Fault(`it holds ${typeName}; only unsigned bytes are read`);
  if (rank === 1) throw new Fault('it holds labels, not images; give the file of images');
  if (rank !== 3 && rank !== 4) throw new Fault(`it has ${rank} dimensions; images have 3 or 4`);
  const bytes = await queue.take(4 * rank);
  if (bytes === undefined) throw new Fault('it ends within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const dimensions = Array.from({ length: rank }, (_, i) => view.getUint32(4 * i));
  const [count = 0, height = 0, width = 0, channels = 1] = dimensions;
  if (channels !== 1 && channels !== 3) {
    throw new Fault(`its dimensions are ${dimensions.join('×')}; the last should be 1 or 3 channels`);
  }
  if (count > 0 && height * width === 0) throw new Fault(`its images have ${height}×${width} pixels`);
  if (height * width > MAX_PIXELS) {
    throw new Fault(
      `its images have ${height}×${width} pixels; at most ${MAX_PIXELS / 1e6} million are read`,
    );
  }
  // May be rounded when it is beyond 2^53, but is then far above any file's size.
  const announced = magic.length + bytes.length + count * height * width * channels;
  if (announced > (gzipped ? size * MAX_INFLATION : size)) {
    throw new Fault(`it announces ${count} images of ${height}×${width} pixels, more than it can hold`);
  }
  return { count, height, width, channels };
}
