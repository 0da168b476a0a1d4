/** Small valid files of every format, damaged at random: an item, a named skip or a DataError, and an end, always. */

import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { idxOf, npyOf, outcomeOf, png, tarOf, written, zipOf } from './support.js';

const MINUTE = 60_000;
const numbers = (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 37) % 256);

async function archiveFiles() {
  return [
    { name: 'cat/a.png', content: await png(1) },
    { name: 'cat/a.cls', content: '3' },
    { name: `${'long'.repeat(40)}/ü.png`, content: await png(2) },
    { name: 'read me', content: 'hello '.repeat(30) },
  ];
}

async function parquet(): Promise<Buffer> {
  const images = await Promise.all([1, 2, 3, 4].map((colour) => png(colour)));
  const columnData = [
    { name: 'image', data: images, type: 'BYTE_ARRAY' },
    { name: 'label', data: Int32Array.of(1, 2, 1, 2), type: 'INT32' },
  ] as const;
  return Buffer.from(parquetWriteBuffer({ columnData: [...columnData], rowGroupSize: 2 }));
}

const cifar = () => Buffer.concat([3, 9].flatMap((label) => [Buffer.from([label]), numbers(3072)]));

const FORMATS: [string, number, () => Buffer | Promise<Buffer>][] = [
  ['zip', 250, async () => zipOf(await archiveFiles())],
  ['tar', 250, async () => tarOf(await archiveFiles())],
  ['tar, gzipped', 120, async () => gzipSync(await tarOf(await archiveFiles()))],
  ['npy', 300, () => npyOf([3, 2, 2], numbers(12))],
  ['npy, gzipped', 150, () => gzipSync(npyOf([3, 2, 2], numbers(12)))],
  ['IDX', 300, () => idxOf([3, 2, 2], numbers(12))],
  ['IDX, gzipped', 150, () => gzipSync(idxOf([3, 2, 2], numbers(12)))],
  ['CIFAR', 100, cifar],
  ['Parquet', 30, parquet],
];

describe('a damaged file', () => {
  it.each(FORMATS)(
    'never does worse than a DataError: %s',
    { timeout: 2 * MINUTE },
    async (_, numRuns, make) => {
      const whole = await make();
      const path = await written(whole);
      expect(await outcomeOf(path)).toBeInstanceOf(Array);
      const place = fc.nat(whole.length - 1);
      // Headers and directories, where damage tells, are at the ends.
      const telling = fc.oneof(
        place,
        fc.nat(Math.min(600, whole.length) - 1),
        fc.nat(Math.min(300, whole.length) - 1).map((at) => whole.length - 1 - at),
      );
      const damage = fc.record({
        flips: fc.array(fc.record({ at: telling, bit: fc.nat(7) }), { maxLength: 3 }),
        bytes: fc.array(fc.record({ at: telling, value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }), {
          maxLength: 2,
        }),
        length: fc.oneof({ weight: 4, arbitrary: fc.constant(whole.length) }, fc.nat(whole.length)),
        more: fc.uint8Array({ maxLength: 4 }),
        // A part that comes twice, as a header or an entry.
        doubled: fc.option(fc.record({ from: place, length: fc.nat(600) }), { freq: 5, nil: undefined }),
      });
      const property = fc.asyncProperty(damage, async ({ flips, bytes, length, more, doubled }) => {
        let damaged = Buffer.from(whole);
        for (const { at, bit } of flips) damaged[at] = (damaged[at] as number) ^ (1 << bit);
        for (const { at, value } of bytes) damaged[at] = value;
        if (doubled) {
          const part = damaged.subarray(doubled.from, doubled.from + doubled.length);
          damaged = Buffer.concat([damaged.subarray(0, doubled.from), part, damaged.subarray(doubled.from)]);
        }
        await writeFile(path, Buffer.concat([damaged.subarray(0, length), more]));
        const outcome = await outcomeOf(path);
        for (const entry of Array.isArray(outcome) ? outcome : []) {
          if (entry.form === 'skipped') expect(entry.reason).not.toMatch(/\n|undefined|NaN/);
          if (entry.form === 'pixels')
            expect(entry.data).toHaveLength(entry.width * entry.height * entry.channels);
        }
      });
      await fc.assert(property, { numRuns, interruptAfterTimeLimit: MINUTE, markInterruptAsFailure: false });
    },
  );
});
