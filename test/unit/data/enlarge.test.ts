import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { ImageFormat } from '../../../lib/config/schema.js';
import { decodeImage } from '../../../lib/data/decode.js';
import { centredSquare, enlarge } from '../../../lib/data/enlarge.js';
import { resizeImages } from '../../../lib/data/resize.js';

const largest = (a: ArrayLike<number>, b: number[]) =>
  Math.max(...b.map((value, i) => Math.abs(value - (a[i] as number))));

describe('an enlarged image', () => {
  // By Pillow, Image.resize(..., Image.LANCZOS), which rounds and cuts to 0 … 255 between rows and columns as well.
  it.each([
    {
      size: [6, 1],
      channels: 1,
      data: [0, 10, 250, 250, 30, 0],
      target: [9, 1],
      pillow: [6, 0, 42, 215, 255, 218, 61, 0, 4],
    },
    {
      size: [4, 3],
      channels: 3,
      // biome-ignore format: rows of pixels
      data: [106,152,249,131,184,200,0,21,253,147,202,107, 249,169,138,149,119,166,224,148,172,93,167,142,
        248,26,81,218,150,66,2,191,60,129,179,90],
      target: [7, 5],
      // biome-ignore format: rows of pixels
      pillow: [82,134,255,117,176,236,137,199,200,29,79,243,0,14,251,86,134,153,181,235,81,
        151,171,221,149,178,208,133,166,197,106,88,232,97,63,232,115,143,161,130,207,109,
        255,176,135,212,152,145,151,121,164,191,124,177,220,151,170,139,164,151,75,168,138,
        255,70,88,250,87,91,206,127,96,137,173,90,96,190,90,101,180,104,116,167,114,
        238,0,81,255,50,72,238,144,59,72,196,46,0,190,53,67,185,74,162,179,88],
    },
  ] as const)('is what Pillow makes of it: $size to $target', async (given) => {
    const [width, height] = given.size;
    const image = { data: Uint8Array.from(given.data), width, height, channels: given.channels };
    const larger = await enlarge(image, { width: given.target[0], height: given.target[1] });
    expect(largest(larger, [...given.pillow])).toBeLessThanOrEqual(given.size[1] === 1 ? 1 : 4);
    expect(larger).toHaveLength(given.pillow.length);
  });

  it('is turned and mirrored as its original is', async () => {
    const options = fc.record({
      width: fc.integer({ min: 1, max: 12 }),
      height: fc.integer({ min: 1, max: 12 }),
      more: fc.tuple(fc.nat(20), fc.nat(20)),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(options, async ({ width, height, more, seed }) => {
        let state = seed;
        const data = new Uint8Array(width * height).map(() => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          return state >>> 24;
        });
        const target = { width: width + more[0], height: height + more[1] };
        const larger = await enlarge({ data, width, height, channels: 1 }, target);
        const turned = await enlarge({ data: data.slice().reverse(), width, height, channels: 1 }, target);
        expect(largest(turned.reverse(), [...larger])).toBeLessThanOrEqual(1);
        if (more[0] + more[1] === 0) expect([...larger]).toEqual([...data]);
      }),
    );
  });

  it('lets other work have its turn', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const image = { data: new Uint8Array(600 * 600 * 3), width: 600, height: 600, channels: 3 as const };
    await enlarge(image, { width: 1024, height: 1024 });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  it('is cut from the middle, half a pixel to the left or up when there is none', () => {
    const data = Uint8Array.from({ length: 15 }, (_, i) => i);
    expect([...centredSquare({ data, width: 5, height: 3, channels: 1 }).data]).toEqual([
      1, 2, 3, 6, 7, 8, 11, 12, 13,
    ]);
    const upright = centredSquare({ data: data.subarray(0, 12), width: 2, height: 2 * 3, channels: 1 });
    expect([...upright.data]).toEqual([4, 5, 6, 7]);
  });
});

describe('a small image as training data', () => {
  const format: ImageFormat = {
    imageSize: 32,
    imageChannels: 1,
    crop: 'cover',
    background: '#000000',
    maxPixels: 1e6,
  };
  // Two columns of white in the very middle of 28: the middle of 32 is where they belong.
  const line = Uint8Array.from({ length: 28 * 28 }, (_, i) => (i % 28 === 13 || i % 28 === 14 ? 255 : 0));
  const expected = [0, 0, 0, 0, 0, 5, 0, 37, 255, 255, 37, 0, 5, 0, 0, 0, 0, 0];
  const raw = { raw: { width: 28, height: 28, channels: 1 as const } };

  it.each([1, 3] as const)('stays where it is, from a file or as plain pixels: %i channels', async (to) => {
    const file = await sharp(line, raw).toColourspace('b-w').png().toBuffer();
    const fromFile = await decodeImage(file, 'PNG', { ...format, imageChannels: to });
    const images = {
      data: Uint8Array.from([...line, ...line]),
      count: 2,
      width: 28,
      height: 28,
      channels: 1,
    };
    const plain = await resizeImages({ ...images, channels: 1 }, { imageSize: 32, imageChannels: to });
    const row = Array.from(fromFile.subarray(16 * 32 * to, 17 * 32 * to)).filter((_, i) => i % to === 0);
    expect(largest(row.slice(7, 25), expected)).toBeLessThanOrEqual(1);
    expect([...plain]).toEqual([...fromFile, ...fromFile]);
  });

  it('is held whole in the middle of the background, or pulled', async () => {
    // 4 × 2 pixels: white but for the right column.
    const pixels = Uint8Array.of(255, 255, 255, 0, 255, 255, 255, 0);
    const file = await sharp(pixels, { raw: { width: 4, height: 2, channels: 1 } })
      .png()
      .toBuffer();
    const options = { ...format, imageSize: 8, background: '#808080' };
    const contained = await decodeImage(file, 'PNG', { ...options, crop: 'contain' });
    for (const y of [0, 1, 6, 7])
      expect([...contained.subarray(y * 8, y * 8 + 8)]).toEqual(Array(8).fill(128));
    for (const y of [2, 5]) {
      expect(contained[y * 8]).toBeGreaterThan(250);
      expect(contained[y * 8 + 7]).toBeLessThan(10);
    }
    const pulled = await decodeImage(file, 'PNG', { ...options, crop: 'stretch' });
    for (const y of [0, 7]) {
      expect(pulled[y * 8]).toBeGreaterThan(250);
      expect(pulled[y * 8 + 7]).toBeLessThan(10);
    }
  });

  it('is made smaller along one axis and larger along the other when pulled', async () => {
    const pixels = Uint8Array.from({ length: 100 * 2 }, (_, i) => (i % 100 < 50 ? 255 : 0));
    const file = await sharp(pixels, { raw: { width: 100, height: 2, channels: 1 } })
      .png()
      .toBuffer();
    const pulled = await decodeImage(file, 'PNG', { ...format, imageSize: 10, crop: 'stretch' });
    for (const y of [0, 9]) {
      const row = [...pulled.subarray(y * 10, y * 10 + 10)];
      expect(largest(row, [255, 255, 255, 255, 255, 0, 0, 0, 0, 0])).toBeLessThan(30);
    }
  });
});
