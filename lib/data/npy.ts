/** The header of .npy files (numpy's format, version 1.0) of unsigned bytes in C order. */

/** Bytes of the header: a multiple of 64, as the format wants it for mapping, and enough for any shape of four. */
export const NPY_HEADER_BYTES = 128;

const MAGIC = '\x93NUMPY\x01\x00';

/** The header of an array of this shape, NPY_HEADER_BYTES long. */
export function npyHeader(shape: readonly number[]): Buffer {
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const length = NPY_HEADER_BYTES - MAGIC.length - 2;
  const header = Buffer.alloc(NPY_HEADER_BYTES, ' ');
  header.write(MAGIC, 'latin1');
  header.writeUInt16LE(length, MAGIC.length);
  header.write(text, MAGIC.length + 2, 'latin1');
  header.write('\n', NPY_HEADER_BYTES - 1, 'latin1');
  return header;
}
