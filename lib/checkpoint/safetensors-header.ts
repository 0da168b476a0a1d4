/**
 * The header of a safetensors file: JSON that says where in the rest of the file each tensor lies. Checked in full,
 * for a checkpoint may come from anywhere: nothing in it is trusted to size an allocation or to name a property.
 */
import { FormatFault, JsonCursor, quoted } from './json-cursor.js';

/** Bits of one element of each type that the format knows. */
const BITS = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  BOOL: 8,
  C64: 64,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
} as const;

export type StoredDtype = keyof typeof BITS;

/** Where a tensor lies. */
export interface TensorEntry {
  name: string;
  dtype: StoredDtype;
  shape: number[];
  /** Offset of the first byte, counted from the end of the header. */
  begin: number;
  /** Offset behind the last byte. */
  end: number;
}

export interface Header {
  /** Without a prototype, so that any key is just a key. */
  metadata: Record<string, string>;
  /** In the order of their bytes. */
  entries: TensorEntry[];
}

/** Longest header that readers of the format accept, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;
const METADATA = '__metadata__';
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Bytes of a tensor, or undefined when a dimension is no size, when the count cannot be held exactly, or when the
 * elements do not fill whole bytes.
 */
export function tensorBytes(dtype: StoredDtype, shape: readonly number[]): number | undefined {
  let bits: number = BITS[dtype];
  for (const size of shape) {
    if (!isSize(size)) return undefined;
    bits *= size;
    // Beyond 2^53 a product may be rounded, but never to below it: no wrong count slips through.
    if (!Number.isSafeInteger(bits)) return undefined;
  }
  return bits % 8 === 0 ? bits / 8 : undefined;
}

/**
 * Parses a header and checks it against the bytes that follow it.
 * @param bytes the header without its length
 * @param dataBytes size of the rest of the file, which the tensors must cover without gaps or overlaps
 * @throws FormatFault
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number): Header {
  if (bytes[0] !== 0x7b) throw new FormatFault('its header does not begin with {');
  const json = new JsonCursor(decode(bytes));
  const metadata: Record<string, string> = Object.create(null);
  const entries: TensorEntry[] = [];
  json.members((name) => {
    if (name !== METADATA) entries.push(parseEntry(name, json));
    else {
      json.members((key) => {
        metadata[key] = json.string();
      });
    }
  });
  json.end();
  checkCover(entries, dataBytes);
  return { metadata, entries };
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new FormatFault('its header is not UTF-8 text');
  }
}

function parseEntry(name: string, json: JsonCursor): TensorEntry {
  const fail = (reason: string) => new FormatFault(`tensor ${quoted(name)} ${reason}`);
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  json.members((key) => {
    if (key === 'dtype') dtype = json.string();
    else if (key === 'shape') shape = json.sizes();
    else if (key === 'data_offsets') offsets = json.sizes();
    else throw fail(`has an unknown key ${quoted(key)}`);
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    throw fail('does not have all of dtype, shape and data_offsets');
  }
  if (!isDtype(dtype)) throw fail(`is of unknown dtype ${quoted(dtype)}`);
  const size = tensorBytes(dtype, shape);
  if (size === undefined) throw fail(`of dtype ${dtype} has an impossible shape ${quoted(shape)}`);
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin === undefined || end === undefined || end - begin !== size) {
    throw fail(
      `of dtype ${dtype} and shape ${quoted(shape)} takes ${size} bytes, but has data_offsets ${quoted(offsets)}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** Sorts the entries by their bytes and makes sure that each byte of the data belongs to exactly one. */
function checkCover(entries: TensorEntry[], dataBytes: number): void {
  // Empty tensors share their offset with the tensor behind them and go before it.
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of entries) {
    if (begin < covered) throw new FormatFault(`tensor ${quoted(name)} overlaps another`);
    if (begin > covered) throw new FormatFault(`nothing is said of the bytes before tensor ${quoted(name)}`);
    if (end > dataBytes) {
      throw new FormatFault(
        `it is cut short: tensor ${quoted(name)} ends at byte ${end} of ${dataBytes} that are there`,
      );
    }
    covered = end;
  }
  if (covered !== dataBytes)
    throw new FormatFault(`${dataBytes - covered} bytes behind its tensors belong to none`);
}

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const isDtype = (value: string): value is StoredDtype => Object.hasOwn(BITS, value);
