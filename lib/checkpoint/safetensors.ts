/** Reads and writes safetensors files, https://github.com/huggingface/safetensors: named tensors and a text map. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { CheckpointError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import type { Dtype, NativeTensor } from '../native.js';
import { checkText, FormatFault, quoted } from './json-cursor.js';
import {
  type Header,
  MAX_HEADER_BYTES,
  parseHeader,
  type StoredDtype,
  type TensorEntry,
  tensorBytes,
} from './safetensors-header.js';

/** The format's names for the types that tensors have here. */
const STORED: Record<Dtype, StoredDtype> = { float32: 'F32', float64: 'F64' };
const DTYPES = new Map<StoredDtype, Dtype>([
  ['F32', 'float32'],
  ['F64', 'float64'],
]);
const LENGTH_BYTES = 8;
/** Most bytes asked for at once; a read of 2 GiB or more is not possible. */
const READ_BYTES = 2 ** 28;

export interface SafetensorsFile {
  /** Has no prototype. */
  metadata: Record<string, string>;
  /** In the order of their bytes. Each has memory of its own, aligned for any view. */
  tensors: NativeTensor[];
  /** The bytes before the first tensor's: length and text of the header. */
  header: Uint8Array;
  /** Of the whole file. */
  bytes: number;
}

/**
 * Reads a whole file. Memory is taken only for bytes that the file really has.
 * @throws CheckpointError ERR_SAN_CHECKPOINT_NOT_FOUND; ERR_SAN_CHECKPOINT_FORMAT for a file that cannot be read, that
 * breaks a rule of the format, or that has a tensor other than float32 or float64
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  let handle: FileHandle | undefined;
  try {
    // Before opening it, for to open a pipe would wait for a writer.
    if (!(await stat(path)).isFile()) throw new FormatFault('it is not a file');
    handle = await open(path, 'r');
    const { header, bytes, size } = await readHeader(handle);
    const tensors: NativeTensor[] = [];
    for (const entry of header.entries) tensors.push(await readTensor(handle, entry, bytes.length));
    return { metadata: header.metadata, tensors, header: bytes, bytes: size };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new CheckpointError('ERR_SAN_CHECKPOINT_NOT_FOUND', `there is no checkpoint at ${path}`, {
        path,
      });
    }
    const reason = error instanceof FormatFault ? error.message : fileErrorReason(error);
    throw new CheckpointError(
      'ERR_SAN_CHECKPOINT_FORMAT',
      `${path} is not a usable checkpoint: ${reason}`,
      { path },
      { cause: error },
    );
  } finally {
    await handle?.close();
  }
}

async function readHeader(handle: FileHandle): Promise<{ header: Header; bytes: Uint8Array; size: number }> {
  const { size } = await handle.stat();
  if (size < LENGTH_BYTES) throw new FormatFault(`it has ${size} bytes, fewer than any safetensors file`);
  const lengthField = await readBytes(handle, 0, LENGTH_BYTES);
  const length = new DataView(lengthField.buffer).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES)
    throw new FormatFault(`it announces a header of ${length} bytes; 100 MB is the limit`);
  const dataStart = LENGTH_BYTES + Number(length);
  if (dataStart > size) {
    throw new FormatFault(`it announces a header of ${length} bytes, but only ${size - LENGTH_BYTES} follow`);
  }
  const bytes = await readBytes(handle, 0, dataStart);
  return { header: parseHeader(bytes.subarray(LENGTH_BYTES), size - dataStart), bytes, size };
}

async function readTensor(handle: FileHandle, entry: TensorEntry, dataStart: number): Promise<NativeTensor> {
  const { name, shape, begin, end } = entry;
  const dtype = DTYPES.get(entry.dtype);
  if (dtype === undefined)
    throw new FormatFault(`tensor ${quoted(name)} is ${entry.dtype}; only F32 and F64 are used here`);
  return { name, dtype, shape, data: await readBytes(handle, dataStart + begin, end - begin) };
}

async function readBytes(
  handle: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = Math.min(READ_BYTES, length - done);
    const { bytesRead } = await handle.read(bytes, done, count, position + done);
    // It was long enough when it was opened.
    if (bytesRead === 0) throw new FormatFault('it became shorter while it was read');
    done += bytesRead;
  }
  return bytes;
}

/**
 * A file's content as chunks for writeFileAtomic(): the header, then each tensor's own bytes, not copied. Wide elements
 * come first, then names in order, and the header fills up to 8 bytes, so that every tensor is aligned in the file.
 * @throws CheckpointError ERR_SAN_CHECKPOINT_FORMAT for what no reader would accept: a name used twice, data that does
 * not fit its shape, text with half a surrogate pair
 */
export function encodeSafetensors(
  tensors: readonly NativeTensor[],
  metadata: Readonly<Record<string, string>> = {},
): [header: Uint8Array, ...data: Uint8Array[]] {
  try {
    const width = ({ dtype }: NativeTensor) => tensorBytes(STORED[dtype], []) ?? 0;
    const sorted = [...tensors].sort((a, b) => width(b) - width(a) || (a.name < b.name ? -1 : 1));
    return [encodeHeader(sorted, metadata), ...sorted.map(({ data }) => data)];
  } catch (error) {
    if (!(error instanceof FormatFault)) throw error;
    throw new CheckpointError('ERR_SAN_CHECKPOINT_FORMAT', `cannot write a checkpoint: ${error.message}`);
  }
}

function encodeHeader(tensors: NativeTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  for (const text of Object.entries(metadata).flat()) checkText(text);
  // A map, since an object would sort names like "7" to the front and lose "__proto__".
  const members = new Map<string, object>([['__metadata__', metadata]]);
  let offset = 0;
  for (const { name, dtype, shape, data } of tensors) {
    checkText(name);
    if (members.has(name)) throw new FormatFault(`there are two tensors ${quoted(name)}`);
    if (tensorBytes(STORED[dtype], shape) !== data.byteLength) {
      throw new FormatFault(
        `tensor ${quoted(name)} has ${data.byteLength} bytes, which is not ${dtype} ${quoted(shape)}`,
      );
    }
    const end = offset + data.byteLength;
    members.set(name, { dtype: STORED[dtype], shape, data_offsets: [offset, end] });
    offset = end;
  }
  const json = `{${[...members].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = Buffer.from(json);
  const padded = Math.ceil(text.length / 8) * 8;
  if (padded > MAX_HEADER_BYTES)
    throw new FormatFault(`its header would take ${padded} bytes; 100 MB is the limit`);
  const header = new Uint8Array(LENGTH_BYTES + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(text, LENGTH_BYTES);
  return header;
}
