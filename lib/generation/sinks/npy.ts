/** One array of all images: uint8 [count, S, S, C] in NumPy's format 1.0. */
import type { Container } from './file-sink.js';

/** Magic and version; two bytes for the length follow. */
const MAGIC = Buffer.from('\x93NUMPY\x01\x00', 'latin1');
/** The pixels begin at a multiple of this, so that the file can be mapped. */
const ALIGNMENT = 64;

export const npy: Container = {
  kind: 'npy',
  head({ count, imageSize, imageChannels }) {
    const shape = `(${count}, ${imageSize}, ${imageSize}, ${imageChannels})`;
    const text = `{'descr': '|u1', 'fortran_order': False, 'shape': ${shape}, }`;
    const before = MAGIC.length + 2;
    const total = Math.ceil((before + text.length + 1) / ALIGNMENT) * ALIGNMENT;
    const head = Buffer.alloc(total, ' ');
    MAGIC.copy(head);
    head.writeUInt16LE(total - before, MAGIC.length);
    head.write(text, before, 'latin1');
    head.write('\n', total - 1, 'latin1');
    return head;
  },
  encode: async ({ data }) => data,
  tail: () => [],
};
