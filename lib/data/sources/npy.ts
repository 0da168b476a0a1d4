/** Images in a NumPy .npy file: (N, height, width) or (N, height, width, channels) unsigned bytes in C order. */
import { basename } from 'node:path';
import type { ImageSource } from '../source.js';
import { openReader } from './byte-reader.js';
import { explained, Fault } from './fault.js';
import { fileFacts, fingerprintOf } from './fingerprint.js';
import { type PixelFileOptions, type PixelShape, pixelShape } from './pixel-shape.js';
import { readRecords } from './records.js';

interface Header extends PixelShape {
  bytes: number;
}

const MAGIC_BYTES = 6;
/** A header has a type, an order and a few dimensions: about 120 bytes. */
const MAX_HEADER_BYTES = 2 ** 16;

export async function openNpy(path: string, options: PixelFileOptions): Promise<ImageSource> {
  const { gzipped, signal } = options;
  const facts = await fileFacts(path);
  const { count, height, width, channels, bytes } = await explained(path, signal, () =>
    readHeader(path, facts.size, options),
  );
  const file = basename(path);
  const records = {
    path,
    gzipped,
    headerBytes: bytes,
    recordBytes: height * width * channels,
    count,
    item: (data: Uint8Array, index: number) =>
      ({ form: 'pixels', index, name: `${file}[${index}]`, data, width, height, channels }) as const,
  };
  return {
    kind: 'npy',
    path,
    count,
    fingerprint: fingerprintOf('npy', [facts]),
    skipped: [],
    ...(!gzipped && { mapped: { offset: bytes, shape: [count, height, width, channels] as const } }),
    entries: (read) => readRecords(records, read),
  };
}

/** The mark, a version, the length of a Python dictionary as text, and that. */
async function readHeader(
  path: string,
  fileBytes: number,
  { gzipped, maxPixels }: PixelFileOptions,
): Promise<Header> {
  const reader = await openReader(path, gzipped);
  try {
    const cut = new Fault('it ends within its header');
    const start = await reader.take(MAGIC_BYTES + 2);
    const version = start?.[MAGIC_BYTES];
    if (version === undefined) throw cut;
    if (version < 1 || version > 3) throw new Fault(`version ${version} of the npy format is not known`);
    const lengthBytes = await reader.take(version === 1 ? 2 : 4);
    if (lengthBytes === undefined) throw cut;
    const length = Buffer.from(lengthBytes).readUIntLE(0, lengthBytes.length);
    if (length > MAX_HEADER_BYTES) throw new Fault(`its header of ${length} bytes is too long`);
    const text = await reader.take(length);
    if (text === undefined) throw cut;
    const bytes = MAGIC_BYTES + 2 + lengthBytes.length + length;
    const dimensions = parseHeader(Buffer.from(text).toString('latin1'));
    return { ...pixelShape(dimensions, { fileBytes, headerBytes: bytes, gzipped, maxPixels }), bytes };
  } finally {
    await reader.close();
  }
}

/** The shape. Throws Fault for all but unsigned bytes in C order. */
function parseHeader(text: string): number[] {
  const descr = /'descr' *: *('[^']*'|\[)/.exec(text)?.[1];
  const order = /'fortran_order' *: *(True|False)/.exec(text)?.[1];
  const shape = /'shape' *: *\(([\d, L]*)\)/.exec(text)?.[1];
  // The last comma has nothing behind it; long integers of Python 2 end in L.
  const sizes = shape?.replace(/, *$/, '').split(',');
  const known = shape?.trim() === '' || sizes?.every((size) => /^ *\d+L? *$/.test(size));
  if (descr === undefined || order === undefined || sizes === undefined || !known) {
    throw new Fault('its header cannot be understood');
  }
  if (descr.includes('O')) throw new Fault('it holds pickled Python objects, which are never loaded');
  if (!/^'[|<>=]?u1'$/.test(descr)) {
    throw new Fault(
      `its elements are ${descr === '[' ? 'structures' : descr}; only unsigned bytes ('|u1') are read`,
    );
  }
  if (order === 'True') throw new Fault('it is in Fortran order; save numpy.ascontiguousarray(images)');
  return sizes.filter((size) => size.trim() !== '').map((size) => Number.parseInt(size, 10));
}
