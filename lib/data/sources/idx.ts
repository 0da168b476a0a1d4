/**
 * Images in an IDX file, the format of MNIST and Fashion-MNIST: unsigned bytes (N, height, width) for grey or (N,
 * height, width, channels). Labels are in a file of their own beside it.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Skipped } from '../folder.js';
import type { ImageSource, PixelItem } from '../source.js';
import { type ByteReader, openReader } from './byte-reader.js';
import { explained, Fault } from './fault.js';
import { fileFacts, fingerprintOf } from './fingerprint.js';
import { type PixelFileOptions, pixelShape } from './pixel-shape.js';
import { readRecords } from './records.js';

const ELEMENT_TYPES = new Map([
  [0x08, 'unsigned bytes'],
  [0x09, 'signed bytes'],
  [0x0b, '16-bit integers'],
  [0x0c, '32-bit integers'],
  [0x0d, '32-bit floats'],
  [0x0e, '64-bit floats'],
]);
const UNSIGNED_BYTE = 0x08;
const MAGIC_BYTES = 4;
const LABELS_HEADER_BYTES = 8;

export async function openIdx(path: string, options: PixelFileOptions): Promise<ImageSource> {
  const { gzipped, signal } = options;
  const facts = await fileFacts(path);
  const header = await explained(path, signal, () => readHeader(path, facts.size, options));
  const { count, height, width, channels, headerBytes } = header;
  const labels = await findLabels(path, count);
  const file = basename(path);
  const records = {
    path,
    gzipped,
    headerBytes,
    recordBytes: height * width * channels,
    count,
    item: (data: Uint8Array, index: number): PixelItem => {
      const item = {
        form: 'pixels',
        index,
        name: `${file}[${index}]`,
        data,
        width,
        height,
        channels,
      } as const;
      return labels.data === undefined ? item : { ...item, label: labels.data[index] };
    },
  };
  return {
    kind: 'IDX',
    path,
    count,
    fingerprint: fingerprintOf('IDX', [facts, ...labels.files]),
    skipped: labels.skipped,
    entries: (read) => readRecords(records, read),
  };
}

/** The magic number (two zero bytes, the type of the elements, the number of dimensions), then the dimensions. */
async function readHeader(path: string, fileBytes: number, { gzipped, maxPixels }: PixelFileOptions) {
  const reader = await openReader(path, gzipped);
  try {
    const dimensions = await readDimensions(reader);
    const headerBytes = MAGIC_BYTES + 4 * dimensions.length;
    return { ...pixelShape(dimensions, { fileBytes, headerBytes, gzipped, maxPixels }), headerBytes };
  } finally {
    await reader.close();
  }
}

async function readDimensions(reader: ByteReader): Promise<number[]> {
  const magic = await reader.take(MAGIC_BYTES);
  if (magic === undefined) throw new Fault('it ends within its header');
  const [, , type = 0, rank = 0] = magic;
  if (type !== UNSIGNED_BYTE) {
    throw new Fault(
      `it holds ${ELEMENT_TYPES.get(type) ?? 'unknown elements'}; only unsigned bytes are read`,
    );
  }
  if (rank === 1) throw new Fault('it holds labels, not images; give the file of images');
  const bytes = await reader.take(4 * rank);
  if (bytes === undefined) throw new Fault('it ends within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: rank }, (_, i) => view.getUint32(4 * i));
}

interface Labels {
  data?: Uint8Array | undefined;
  files: Awaited<ReturnType<typeof fileFacts>>[];
  skipped: Skipped[];
}

/** "train-images-idx3-ubyte.gz" has its labels in "train-labels-idx1-ubyte", gzipped or not. */
async function findLabels(path: string, count: number): Promise<Labels> {
  const name = basename(path).replace(/\.gz$/i, '');
  const labelsName = name.replace('images', 'labels').replace(/idx\d/, 'idx1');
  for (const file of labelsName === name ? [] : [labelsName, `${labelsName}.gz`]) {
    const labelsPath = join(dirname(path), file);
    if (!(await stat(labelsPath).catch(() => undefined))?.isFile()) continue;
    const facts = await fileFacts(labelsPath);
    const labels = await readLabels(labelsPath, facts.size, count);
    if (typeof labels !== 'string') return { data: labels, files: [facts], skipped: [] };
    return { files: [facts], skipped: [{ path: file, reason: labels }] };
  }
  return { files: [], skipped: [] };
}

/** A label an image; in words why there are none. */
async function readLabels(path: string, fileBytes: number, count: number): Promise<Uint8Array | string> {
  const limit = LABELS_HEADER_BYTES + count;
  if (fileBytes > limit + 1024) return `it is larger than ${count} labels are`;
  const bytes = await readFile(path).catch(() => new Uint8Array(0));
  const content =
    bytes[0] === 0x1f && bytes[1] === 0x8b
      ? await promisify<Uint8Array, { maxOutputLength: number }, Buffer>(gunzip)(bytes, {
          maxOutputLength: limit + 1,
        }).catch(() => undefined)
      : bytes;
  if (content === undefined) return `its gzip data is damaged, cut short or more than ${count} labels`;
  const [zero, alsoZero, type, rank] = content;
  if (
    zero !== 0 ||
    alsoZero !== 0 ||
    type !== UNSIGNED_BYTE ||
    rank !== 1 ||
    content.length < LABELS_HEADER_BYTES
  ) {
    return 'it is not an IDX file of labels in unsigned bytes';
  }
  const announced = new DataView(content.buffer, content.byteOffset).getUint32(MAGIC_BYTES);
  if (announced !== count || content.length !== limit) {
    return `it has ${announced} labels for ${count} images, so none is used`;
  }
  return content.subarray(LABELS_HEADER_BYTES);
}
