import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { entriesOf, expectResumable, failureOf, npyOf, pythonWith, written } from './support.js';

const numbers = (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 37) % 256);
const python = pythonWith('numpy');

describe('an .npy file', () => {
  it.each([
    ['grey', [3, 2, 4], 1],
    ['colour', [3, 2, 4, 3], 3],
    ['colour and alpha', [2, 2, 4, 4], 4],
  ] as const)('gives its images: %s', async (_, shape, channels) => {
    const data = numbers(shape.reduce((a: number, b) => a * b, 1));
    const path = await written(npyOf(shape, data), 'images.npy');
    const entries = await entriesOf(path);
    expect(await openSource(path)).toMatchObject({ kind: 'npy', count: shape[0], skipped: [] });
    expect(entries).toHaveLength(shape[0]);
    const bytes = data.length / shape[0];
    expect(entries[1]).toEqual({
      form: 'pixels',
      index: 1,
      name: 'images.npy[1]',
      data: data.subarray(bytes, 2 * bytes),
      width: 4,
      height: 2,
      channels,
    });
    await expectResumable(path);
  });

  it('is read in blocks, plain and gzipped', async () => {
    const count = 3000;
    const data = numbers(count * 784).map((value, i) => value ^ Math.floor(i / 784));
    for (const content of [
      npyOf([count, 28, 28], data),
      gzipSync(npyOf([count, 28, 28], data), { level: 1 }),
    ]) {
      const entries = await entriesOf(await written(content));
      const pixels = entries.map((entry) => (entry.form === 'pixels' ? entry.data : new Uint8Array(0)));
      expect(Buffer.compare(Buffer.concat(pixels), data)).toBe(0);
      expect((await entriesOf(await written(content), 2999))[0]).toEqual(entries[2999]);
    }
  });

  it.skipIf(python === undefined)('is what numpy wrote', async () => {
    const folder = await temporaryFolder();
    const script = `
import numpy as np
images = (np.arange(5 * 6 * 7 * 3) * 7 % 256).astype(np.uint8).reshape(5, 6, 7, 3)
np.save('plain.npy', images)
with open('version2.npy', 'wb') as file: np.lib.format.write_array(file, images, (2, 0))
with open('version3.npy', 'wb') as file: np.lib.format.write_array(file, images, (3, 0))
np.save('fortran.npy', np.asfortranarray(images))
np.save('float.npy', images.astype(np.float32))
np.save('objects.npy', np.array([{}, images], dtype=object), allow_pickle=True)
np.save('struct.npy', np.zeros(3, dtype=[('a', 'u1')]))
np.save('scalar.npy', np.uint8(3))
np.save('row.npy', np.zeros(3, np.uint8))
images.tofile('raw')
`;
    execFileSync(python as string, ['-c', script], { cwd: folder });
    const raw = Uint8Array.from({ length: 630 }, (_, i) => (i * 7) % 256);
    for (const name of ['plain.npy', 'version2.npy', 'version3.npy']) {
      const entries = await entriesOf(join(folder, name));
      expect(entries).toHaveLength(5);
      expect(entries[4]).toMatchObject({ width: 7, height: 6, channels: 3, data: raw.subarray(504) });
    }
    const reasons = {
      'fortran.npy': /Fortran order; save numpy.ascontiguousarray/,
      'float.npy': /its elements are '<f4'; only unsigned bytes/,
      'objects.npy': /pickled Python objects, which are never loaded/,
      'struct.npy': /structures/,
      'scalar.npy': /it has 0 dimensions;/,
      'row.npy': /it has 1 dimensions \(3\)/,
    };
    for (const [name, reason] of Object.entries(reasons)) {
      expect((await failureOf(join(folder, name))).message).toMatch(reason);
    }
  });

  it.each<[string, Buffer, RegExp]>([
    ['a mark alone', npyOf([1], numbers(1)).subarray(0, 6), /ends within its header/],
    ['a cut header', npyOf([2, 2, 2], numbers(8)).subarray(0, 40), /ends within its header/],
    ['a huge header', Buffer.from('\x93NUMPY\x02\0\xff\xff\xff\xff', 'latin1'), /header of 4294967295 bytes/],
    ['version 9', Buffer.from('\x93NUMPY\x09\0\x04\0{}  ', 'latin1'), /version 9/],
    ['no dictionary', Buffer.from('\x93NUMPY\x01\0\x04\0{}  ', 'latin1'), /cannot be understood/],
    [
      'more than it holds',
      npyOf([3, 2, 2], numbers(11)),
      /announces 3 images of 2×2 pixels, more than it can hold/,
    ],
    ['a byte too many', npyOf([2, 2, 2], numbers(9)), /more bytes than its 2 images/],
    ['an overflowing shape', npyOf([2 ** 62, 2 ** 33, 2 ** 33], numbers(8)), /at most 100 million/],
    ['many images', npyOf([2 ** 62, 2, 2], numbers(8)), /more than it can hold/],
    ['two channels', npyOf([1, 2, 2, 2], numbers(8)), /the last should be 1, 3 or 4/],
    ['no pixels', npyOf([1, 0, 2], numbers(0)), /0×2 pixels/],
    ['a size that is no number', npyOf(['1 2', 2, 2] as never, numbers(4)), /cannot be understood/],
    ['a size that is missing', npyOf(['', 2, 2] as never, numbers(4)), /cannot be understood/],
    [
      'a side beyond all numbers',
      npyOf([1, `1${'0'.repeat(400)}`, 0] as never, numbers(0)),
      /Infinity×0 pix/,
    ],
    ['compressed, a byte too few', gzipSync(npyOf([2, 2, 2], numbers(7))), /ends within its 2 images/],
    ['cut compression', gzipSync(npyOf([2, 64, 64], numbers(8192))).subarray(0, -9), /damaged or cut short/],
  ])('is refused: %s', async (_, content, reason) => {
    expect((await failureOf(await written(content))).message).toMatch(reason);
  });

  it('of no images is an empty source', async () => {
    const path = await written(npyOf([0, 28, 28], numbers(0)));
    expect((await openSource(path)).count).toBe(0);
    expect(await entriesOf(path)).toEqual([]);
  });

  it('of too large images is refused', async () => {
    const path = await written(npyOf([1, 20, 20], numbers(400)));
    await expect(openSource(path, { maxPixels: 399 })).rejects.toThrow(
      /20×20 pixels; at most 0.000399 million/,
    );
    await writeFile(path, npyOf([1, 20, 20], numbers(400)));
    await expect(openSource(path, { maxPixels: 400 })).resolves.toMatchObject({ count: 1 });
  });
});
