/** .npy files for the tests, written as numpy writes them. */
import { writeFileSync } from 'node:fs';
import type { ImageBatch } from '../../lib/native.js';

export function npyHeader(
  shape: readonly number[],
  changes: { descr?: string; fortran?: string } = {},
): Buffer {
  const { descr = '|u1', fortran = 'False' } = changes;
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`;
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  head.writeUInt16LE(padded.length, 8);
  return Buffer.concat([head, Buffer.from(padded)]);
}

export function writeNpy(path: string, { data, shape }: ImageBatch): void {
  writeFileSync(path, Buffer.concat([npyHeader(shape), data]));
}
