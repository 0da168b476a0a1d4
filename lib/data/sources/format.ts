/** Tells files apart by their content. */
import { open } from 'node:fs/promises';
import { constants, inflateRawSync } from 'node:zlib';
import { type ImageKind, imageKind } from '../kind.js';
import { cifarKind } from './cifar-records.js';

export type Container = 'zip' | 'tar' | 'npy' | 'Parquet' | 'IDX' | 'IDX labels' | 'CIFAR-10' | 'CIFAR-100';

/** What a file is: an image, something that holds images, or neither. */
export interface FileFormat {
  image?: ImageKind | undefined;
  container?: Container | undefined;
  /** Whether that is what lies inside of gzip data. */
  gzipped: boolean;
  /** Of what lies inside of gzip data, as its end says; else of the file. */
  contentBytes: number;
}

/** First bytes of a file that fileFormat() wants to see, when the file has so many. */
export const FORMAT_HEAD_BYTES = 1024;

/** What a file of `size` bytes that begins like `head` is. The last four bytes matter for gzip data only. */
export function fileFormat(head: Uint8Array, size: number, tail?: Uint8Array): FileFormat {
  if (!isGzip(head)) {
    return {
      image: imageKind(head),
      container: containerKind(head, size),
      gzipped: false,
      contentBytes: size,
    };
  }
  const inner = inflatedHead(head);
  // The end of a gzip file has its content's size, modulo 2^32.
  const contentBytes = tail?.length === 4 ? Buffer.from(tail).readUInt32LE() : 0;
  return {
    image: imageKind(inner),
    container: containerKind(inner, contentBytes),
    gzipped: true,
    contentBytes,
  };
}

/** A file's format, size in bytes and time of the last change. Throws what the file system throws. */
export async function readFormat(path: string): Promise<FileFormat & { size: number; modified: bigint }> {
  const handle = await open(path, 'r');
  try {
    const { size: bytes, mtimeNs: modified } = await handle.stat({ bigint: true });
    const size = Number(bytes);
    const read = await handle.read(new Uint8Array(FORMAT_HEAD_BYTES), 0, FORMAT_HEAD_BYTES, 0);
    const head = read.buffer.subarray(0, read.bytesRead);
    if (!isGzip(head)) return { ...fileFormat(head, size), size, modified };
    const tail = await handle.read(new Uint8Array(4), 0, 4, Math.max(0, size - 4));
    return { ...fileFormat(head, size, tail.buffer.subarray(0, tail.bytesRead)), size, modified };
  } finally {
    await handle.close();
  }
}

const isGzip = (head: Uint8Array): boolean => head[0] === 0x1f && head[1] === 0x8b;

function containerKind(head: Uint8Array, size: number): Container | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString('latin1');
  // The second is that of an archive without entries.
  if (text.startsWith('PK\x03\x04') || text.startsWith('PK\x05\x06')) return 'zip';
  if (text.startsWith('\x93NUMPY')) return 'npy';
  if (text.startsWith('PAR1')) return 'Parquet';
  if (text.startsWith('ustar', 257) || isOldTar(head)) return 'tar';
  if (isIdx(head)) return head[3] === 1 ? 'IDX labels' : 'IDX';
  return cifarKind(head, size);
}

/** Two zero bytes, the type of the elements (bytes to doubles), the number of dimensions. */
const isIdx = ([zero, alsoZero, type = 0]: Uint8Array): boolean =>
  zero === 0 && alsoZero === 0 && type >= 0x08 && type <= 0x0e && type !== 0x0a;

/** Before POSIX a tar header had no mark, but always a checksum, in octal, of its 512 bytes. */
function isOldTar(head: Uint8Array): boolean {
  if (head.length < 512 || head[0] === 0) return false;
  const field = Buffer.from(head.subarray(148, 156)).toString('latin1');
  if (!/^ *[0-7]+[\0 ]+$/.test(field)) return false;
  let sum = 8 * 0x20;
  for (let i = 0; i < 512; i++) if (i < 148 || i >= 156) sum += head[i] as number;
  return sum === Number.parseInt(field, 8);
}

/** What the beginning of gzip data has compressed; nothing when that is damaged. */
function inflatedHead(head: Uint8Array): Uint8Array {
  const start = gzipHeaderBytes(head);
  if (start === undefined) return new Uint8Array(0);
  try {
    return inflateStart(head.subarray(start));
  } catch {
    return new Uint8Array(0);
  }
}

/** As much as can be had of deflated data that is only there to `compressed`'s end. Throws on damaged data. */
export function inflateStart(compressed: Uint8Array): Uint8Array {
  return inflateRawSync(compressed, { finishFlush: constants.Z_SYNC_FLUSH });
}

/** RFC 1952: ten bytes, then, as flags say, extra field, name, comment, checksum. */
function gzipHeaderBytes(head: Uint8Array): number | undefined {
  const flags = head[3] ?? 0;
  let at = 10;
  if (flags & 4) at += 2 + (head[at] ?? 0) + 256 * (head[at + 1] ?? 0);
  for (const flag of [8, 16]) {
    if (!(flags & flag)) continue;
    const end = head.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  if (flags & 2) at += 2;
  return at < head.length ? at : undefined;
}
