import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readIdx } from '../../../lib/data/idx.js';
import { DataError } from '../../../lib/errors.js';
import { temporaryFolder } from '../support/temporary.js';

const AS_IS = { imageSize: 2, imageChannels: 1, background: '#ffffff' } as const;

function idx(dimensions: number[], data: ArrayLike<number>, type = 8): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.set([0, 0, type, dimensions.length]);
  dimensions.forEach((size, i) => {
    header.writeUInt32BE(size, 4 + 4 * i);
  });
  return Buffer.concat([header, Buffer.from(Uint8Array.from(data))]);
}

async function written(content: Uint8Array): Promise<string> {
  const path = join(await temporaryFolder(), 'images-idx3-ubyte');
  await writeFile(path, content);
  return path;
}

async function failure(content: Uint8Array | string): Promise<DataError> {
  const path = typeof content === 'string' ? content : await written(content);
  const caught = await readIdx(path, AS_IS).catch((error) => error);
  expect(caught).toBeInstanceOf(DataError);
  expect(caught.message).toContain(path);
  expect(caught.message).not.toMatch(/\n|undefined|NaN/);
  expect(caught.details.path).toBe(path);
  return caught;
}

const numbers = (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 37) % 256);

describe('an IDX file', () => {
  it.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzipped', (bytes: Buffer) => gzipSync(bytes)],
    [
      'gzipped in two parts',
      (bytes: Buffer) => Buffer.concat([gzipSync(bytes.subarray(0, 19)), gzipSync(bytes.subarray(19))]),
    ],
  ])('gives its images in order: %s', async (_, pack) => {
    const pixels = numbers(3 * 4);
    const images = await readIdx(await written(pack(idx([3, 2, 2], pixels))), AS_IS);
    expect(images).toEqual({ data: pixels, shape: [3, 2, 2, 1] });
  });

  it('gives colour images, and grey ones as colour', async () => {
    const pixels = numbers(2 * 12);
    const colour = await readIdx(await written(idx([2, 2, 2, 3], pixels)), { ...AS_IS, imageChannels: 3 });
    expect([...colour.data]).toEqual([...pixels]);
    expect(colour.shape).toEqual([2, 2, 2, 3]);
    const grey = await readIdx(await written(idx([1, 2, 2, 1], [1, 2, 3, 4])), {
      ...AS_IS,
      imageChannels: 3,
    });
    expect([...grey.data]).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
  });

  it('is resized and read in many pieces as each image would be by itself', async () => {
    // More than one chunk of the reader, with a rest.
    const count = 2000;
    const pixels = numbers(count * 784).map((value, i) => value ^ Math.floor(i / 784));
    const seen: [number, number][] = [];
    const { data, shape } = await readIdx(
      await written(gzipSync(idx([count, 28, 28], pixels), { level: 1 })),
      {
        imageSize: 32,
        imageChannels: 3,
        background: '#ffffff',
        onProgress: (done, total) => seen.push([done, total]),
      },
    );
    expect(shape).toEqual([count, 32, 32, 3]);
    expect(seen.at(-1)).toEqual([count, count]);
    expect(seen.length).toBeGreaterThan(3);
    for (const i of [0, 1, 333, 334, 1000, count - 1]) {
      const one = sharp(pixels.subarray(i * 784, (i + 1) * 784), {
        raw: { width: 28, height: 28, channels: 1 },
      });
      const expected = await one
        .resize(32, 32, { kernel: 'lanczos3' })
        .toColourspace('srgb')
        .raw()
        .toBuffer();
      expect(Buffer.compare(data.subarray(i * 3072, (i + 1) * 3072), expected)).toBe(0);
    }
  });

  it('is left when the signal is aborted', async () => {
    const path = await written(idx([3, 2, 2], numbers(12)));
    const reason = new Error('enough');
    await expect(readIdx(path, { ...AS_IS, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const large = await written(idx([20_000, 28, 28], new Uint8Array(20_000 * 784)));
    const controller = new AbortController();
    const reading = readIdx(large, {
      ...AS_IS,
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(reading).rejects.toBe(reason);
  });
});

describe('a file that is not a whole IDX file of images', () => {
  const pixels = numbers(12);
  it.each<[string, Buffer, RegExp]>([
    ['empty', Buffer.alloc(0), /neither a folder nor an IDX file/],
    ['text', Buffer.from('hello world'), /neither a folder nor an IDX file/],
    ['three bytes', Buffer.from([0, 0, 8]), /neither a folder nor an IDX file/],
    ['another type number', idx([3, 2, 2], pixels, 7), /neither a folder nor an IDX file/],
    ['compressed text', gzipSync('hello world'), /what it has compressed is not an IDX file/],
    ['compressed nothing', gzipSync(''), /what it has compressed is not an IDX file/],
    ['labels', idx([12], pixels), /labels, not images/],
    ['a table', idx([3, 4], pixels), /2 dimensions/],
    ['no dimensions', idx([], pixels), /0 dimensions/],
    ['255 dimensions', Buffer.from([0, 0, 8, 255, 1]), /255 dimensions/],
    ['floats', idx([3, 2, 2], new Uint8Array(48), 0x0d), /32-bit floats; only unsigned bytes/],
    ['a cut header', idx([3, 2, 2], []).subarray(0, 13), /ends within its header/],
    ['two channels', idx([3, 2, 1, 2], pixels), /3×2×1×2; the last should be 1 or 3/],
    ['images of no height', idx([3, 0, 2], []), /0×2 pixels/],
    ['an image too few', idx([4, 2, 2], pixels), /4 images of 2×2 pixels, more than it can hold/],
    ['a byte too few', idx([3, 2, 2], pixels.subarray(1)), /more than it can hold/],
    ['a byte too many', idx([3, 2, 2], [...pixels, 1]), /more bytes than its 3 images/],
    [
      '2^32 - 1 images of that size',
      idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], pixels),
      /at most 100 million/,
    ],
    ['2^32 - 1 images', idx([2 ** 32 - 1, 2, 2], pixels), /more than it can hold/],
    ['2^32 - 1 images, compressed', gzipSync(idx([2 ** 32 - 1, 1, 1], pixels)), /more than it can hold/],
    ['a byte too few, compressed', gzipSync(idx([3, 2, 2], pixels.subarray(1))), /within its 3 images/],
    ['a byte too many, compressed', gzipSync(idx([3, 2, 2], [...pixels, 1])), /more bytes than/],
    [
      'cut compression',
      gzipSync(idx([3, 2, 2], pixels)).subarray(0, 20),
      /gzip data is damaged or cut short/,
    ],
    ['a cut checksum', gzipSync(idx([3, 2, 2], pixels)).subarray(0, -1), /gzip data is damaged or cut short/],
    ['damaged compression', gzipSync(idx([3, 2, 2], pixels)).fill(0xff, 12, 16), /gzip data is damaged/],
  ])('is refused: %s', async (_, content, reason) => {
    const error = await failure(content);
    expect(error.code).toBe('ERR_SAN_DATA_FORMAT');
    expect(error.message).toMatch(reason);
  });

  it('is refused when it is a single image', async () => {
    const png = await sharp({ create: { width: 2, height: 2, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    expect((await failure(png)).message).toMatch(/single PNG image; give the folder/);
  });

  it('is refused when there are no images in it', async () => {
    expect((await failure(idx([0, 28, 28], []))).code).toBe('ERR_SAN_DATA_EMPTY');
  });

  it('is refused when the images would not fit in an array', async () => {
    // A file with a hole: it takes no room on the disk.
    const path = await written(idx([2 ** 20, 1, 1], []));
    await truncate(path, 16 + 2 ** 20);
    const loading = readIdx(path, { imageSize: 1024, imageChannels: 3, background: '#ffffff' });
    await expect(loading).rejects.toMatchObject({
      code: 'ERR_SAN_OUT_OF_MEMORY',
      message: expect.stringMatching(/1048576 images of 1024×1024×3 bytes .* 3298\.5 GB/),
    });
  });

  it.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzipped', (bytes: Buffer) => gzipSync(bytes)],
  ])('never does worse than a DataError: %s', async (_, pack) => {
    const whole = pack(idx([3, 2, 2], pixels));
    const path = await written(whole);
    const damage = fc.record({
      flips: fc.array(fc.record({ at: fc.nat(whole.length - 1), bit: fc.nat(7) }), { maxLength: 3 }),
      length: fc.oneof({ weight: 3, arbitrary: fc.constant(whole.length) }, fc.nat(whole.length)),
      more: fc.uint8Array({ maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ flips, length, more }) => {
        const damaged = Buffer.concat([whole.subarray(0, length), more]);
        for (const { at, bit } of flips) if (at < length) damaged[at] = (damaged[at] as number) ^ (1 << bit);
        await writeFile(path, damaged);
        const outcome = await readIdx(path, AS_IS).catch((error) => error);
        if (outcome instanceof Error) {
          expect(outcome).toBeInstanceOf(DataError);
          expect(outcome.message).not.toMatch(/\n|undefined/);
        } else {
          expect(outcome.data.length).toBe(outcome.shape[0] * 4);
        }
      }),
      { numRuns: 700 },
    );
  });
});
