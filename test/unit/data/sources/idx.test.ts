import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { entriesOf, expectResumable, failureOf, idxOf, png, told, written } from './support.js';

const numbers = (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 37) % 256);
const pixels = numbers(12);

describe('an IDX file', () => {
  it.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzipped', (bytes: Buffer) => gzipSync(bytes)],
    [
      'gzipped in parts',
      (bytes: Buffer) => Buffer.concat([gzipSync(bytes.subarray(0, 19)), gzipSync(bytes.subarray(19))]),
    ],
  ])('gives its images in order: %s', async (_, packed) => {
    const path = await written(packed(idxOf([3, 2, 2], pixels)), 'images');
    expect(await openSource(path)).toMatchObject({ kind: 'IDX', count: 3, skipped: [] });
    expect((await entriesOf(path))[1]).toEqual({
      form: 'pixels',
      index: 1,
      name: 'images[1]',
      data: pixels.subarray(4, 8),
      width: 2,
      height: 2,
      channels: 1,
    });
    await expectResumable(path);
    const colour = await written(packed(idxOf([1, 2, 2, 3], pixels)));
    expect(await entriesOf(colour)).toMatchObject([{ channels: 3, data: pixels }]);
  });

  it('has its labels in the file beside it, when that has as many', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'train-images-idx3-ubyte.gz');
    await writeFile(path, gzipSync(idxOf([3, 2, 2], pixels)));
    const none = (await openSource(path)).fingerprint;
    const labels = async (name: string, content: Uint8Array) => {
      await writeFile(join(folder, name), content);
      return [
        (await entriesOf(path)).map((entry) => entry.form !== 'skipped' && entry.label),
        (await openSource(path)).skipped,
      ];
    };
    const name = 'train-labels-idx1-ubyte';
    expect(await labels(`${name}.gz`, gzipSync(idxOf([3], [7, 0, 255])))).toEqual([[7, 0, 255], []]);
    expect((await openSource(path)).fingerprint).not.toBe(none);
    expect(await labels(name, idxOf([3], [1, 2, 3]))).toEqual([[1, 2, 3], []]);
    const unlabelled = [undefined, undefined, undefined];
    for (const [content, reason] of [
      [idxOf([2], [1, 2]), /2 labels for 3 images, so none is used/],
      [idxOf([3], [1, 2]), /3 labels for 3 images, so none is used/],
      [idxOf([3], new Uint8Array(12), 0x0c), /not an IDX file of labels in unsigned bytes/],
      [gzipSync(idxOf([90], numbers(90))), /gzip data is damaged, cut short or more than 3 labels/],
      [new Uint8Array(5000), /larger than 3 labels/],
      [new Uint8Array(0), /not an IDX file of labels/],
    ] as const) {
      expect(await labels(name, content)).toEqual([
        unlabelled,
        [{ path: name, reason: expect.stringMatching(reason) }],
      ]);
    }
  });

  it.each<[string, Buffer, RegExp]>([
    ['three bytes', Buffer.from([0, 0, 8]), /it has 0 dimensions|ends within/],
    ['another type number', idxOf([3, 2, 2], pixels, 7), /none of the files that images are read from/],
    ['labels', idxOf([12], pixels), /labels, not images/],
    ['a table', idxOf([3, 4], pixels), /2 dimensions/],
    ['no dimensions', idxOf([], pixels), /0 dimensions/],
    ['255 dimensions', Buffer.from([0, 0, 8, 255, 1]), /ends within its header/],
    ['floats', idxOf([3, 2, 2], new Uint8Array(48), 0x0d), /32-bit floats; only unsigned bytes/],
    ['a cut header', idxOf([3, 2, 2], []).subarray(0, 13), /ends within its header/],
    ['two channels', idxOf([3, 2, 1, 2], pixels), /3×2×1×2; the last should be 1, 3 or 4/],
    ['images of no height', idxOf([3, 0, 2], []), /0×2 pixels/],
    ['an image too few', idxOf([4, 2, 2], pixels), /4 images of 2×2 pixels, more than it can hold/],
    ['a byte too many', idxOf([3, 2, 2], [...pixels, 1]), /more bytes than its 3 images/],
    ['huge images', idxOf([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], pixels), /at most 100 million/],
    ['2^32 - 1 images, compressed', gzipSync(idxOf([2 ** 32 - 1, 1, 1], pixels)), /more than it can hold/],
    ['a byte too few, compressed', gzipSync(idxOf([3, 2, 2], pixels.subarray(1))), /within its 3 images/],
    ['a byte too many, compressed', gzipSync(idxOf([3, 2, 2], [...pixels, 1])), /more bytes than/],
    [
      'cut compression',
      gzipSync(idxOf([3, 2, 2], pixels)).subarray(0, 30),
      /gzip data is damaged or cut short/,
    ],
    [
      'a cut checksum',
      gzipSync(idxOf([3, 2, 2], pixels)).subarray(0, -1),
      /gzip data is damaged or cut short/,
    ],
  ])('is refused: %s', async (_, content, reason) => {
    expect((await failureOf(await written(content))).message).toMatch(reason);
  });
});

describe('gzip data of something else', () => {
  it('is refused in words', async () => {
    expect((await failureOf(await written(gzipSync('hello')))).message).toMatch(
      /nothing that images are read from/,
    );
    expect((await failureOf(await written(gzipSync(await png(1))))).message).toMatch(
      /compressed is a PNG file; unpack it/,
    );
    expect((await failureOf(await written(gzipSync('PK\x03\x04 and more')))).message).toMatch(
      /a zip file; unpack it/,
    );
    expect((await failureOf(await written(Buffer.from([0x1f, 0x8b])))).message).toMatch(
      /nothing that images/,
    );
  });

  it('does not matter beside images', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a.png'), await png(1));
    await writeFile(join(folder, 'b.png.gz'), gzipSync(await png(1)));
    expect((await entriesOf(folder)).map(told)).toEqual(['a.png']);
    expect((await openSource(folder)).skipped).toEqual([
      { path: 'b.png.gz', reason: 'it is a gzipped PNG image; unpack it' },
    ]);
  });
});
