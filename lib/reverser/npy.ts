/** NumPy's format 1.0 of float32 in C order: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */

const MAGIC = '\x93NUMPY\x01\x00';
/** The numbers begin at a multiple of this, so that the file can be mapped. */
const ALIGNMENT = 64;

/** What stands before the numbers of an array of this shape. */
export function float32Header(shape: readonly number[]): Buffer {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const before = MAGIC.length + 2;
  const header = Buffer.alloc(Math.ceil((before + text.length + 1) / ALIGNMENT) * ALIGNMENT, ' ');
  header.write(MAGIC, 'latin1');
  header.writeUInt16LE(header.length - before, MAGIC.length);
  header.write(text, before, 'latin1');
  header.write('\n', header.length - 1, 'latin1');
  return header;
}
