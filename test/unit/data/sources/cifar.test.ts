import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { entriesOf, expectResumable, failureOf, told, written } from './support.js';

/** A batch whose pixel x, y of channel c of record i is as `value` says. */
function batch(labels: readonly (readonly number[])[]): Buffer {
  const planes = (i: number) =>
    Uint8Array.from({ length: 3072 }, (_, at) => (at * 5 + Math.floor(at / 1024) + i) % 256);
  return Buffer.concat(labels.flatMap((label, i) => [Buffer.from(label), planes(i)]));
}

describe('a CIFAR batch', () => {
  it.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzipped', (bytes: Buffer) => gzipSync(bytes)],
  ])('gives labelled colour images: %s', async (_, packed) => {
    const path = await written(packed(batch([[3], [9], [0]])), 'data_batch_1.bin');
    expect(await openSource(path)).toMatchObject({ kind: 'CIFAR-10', count: 3 });
    const entries = await entriesOf(path);
    expect(entries.map(told)).toEqual([
      'data_batch_1.bin[0] = 3',
      'data_batch_1.bin[1] = 9',
      'data_batch_1.bin[2] = 0',
    ]);
    expect(entries[1]).toMatchObject({ width: 32, height: 32, channels: 3 });
    const { data } = entries[1] as { data: Uint8Array };
    for (const [x, y, c] of [
      [0, 0, 0],
      [5, 7, 1],
      [31, 31, 2],
    ] as const) {
      const at = c * 1024 + y * 32 + x;
      expect(data[(y * 32 + x) * 3 + c]).toBe((at * 5 + c + 1) % 256);
    }
    await expectResumable(path);
  });

  it('of CIFAR-100 has fine labels', async () => {
    const path = await written(
      batch([
        [19, 99],
        [0, 7],
      ]),
      'train.bin',
    );
    expect(await openSource(path)).toMatchObject({ kind: 'CIFAR-100', count: 2 });
    expect((await entriesOf(path)).map(told)).toEqual(['train.bin[0] = 99', 'train.bin[1] = 7']);
  });

  it('is labelled by name when the names are there, and is read with the batches beside it', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'data_batch_2.bin'), batch([[2]]));
    await writeFile(join(folder, 'data_batch_1.bin'), batch([[0], [1]]));
    await writeFile(join(folder, 'batches.meta.txt'), `${'abcdefghij'.split('').join('\n')}\n\n`);
    await writeFile(join(folder, 'readme.html'), 'hello');
    const source = await openSource(folder);
    expect(source).toMatchObject({ kind: 'CIFAR-10', count: 3 });
    expect(source.skipped.map(({ path }) => path)).toEqual(['readme.html']);
    expect((await entriesOf(folder)).map(told)).toEqual([
      'data_batch_1.bin[0] = "a"',
      'data_batch_1.bin[1] = "b"',
      'data_batch_2.bin[0] = "c"',
    ]);
    await expectResumable(folder);
    await writeFile(join(folder, 'batches.meta.txt'), 'one\ntwo\n');
    expect((await openSource(folder)).fingerprint).not.toBe(source.fingerprint);
    expect((await entriesOf(folder)).map(told)[0]).toBe('data_batch_1.bin[0] = 0');
  });

  it('is told from other files of its size by its labels', async () => {
    expect((await failureOf(await written(batch([[3], [10]])))).message).toMatch(/its labels are not/);
    expect((await failureOf(await written(batch([[200]])))).message).toMatch(/none of the files/);
    expect((await failureOf(await written(batch([[3]]).subarray(1)))).message).toMatch(/none of the files/);
    const late = batch(Array.from({ length: 70 }, (_, i) => [i === 69 ? 11 : 1]));
    expect((await entriesOf(await written(late))).map(told).at(-1)).toBe(
      "source[69]: its label, 11, is none of CIFAR-10's 10",
    );
  });
});
