import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convertPixels } from '../../../lib/data/decode.js';
import { resizeImages } from '../../../lib/data/resize.js';

/** Each image by itself the way of decodeImage(). */
async function oneByOne(data: Uint8Array, count: number, side: number, channels: 1 | 3, imageSize: number) {
  const bytes = side * side * channels;
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const one = { data: data.subarray(i * bytes, (i + 1) * bytes), width: side, height: side, channels };
    const format = {
      imageSize,
      imageChannels: 3,
      crop: 'cover',
      background: '#ffffff',
      maxPixels: 1e6,
    } as const;
    parts.push(await convertPixels(one, format));
  }
  return Buffer.concat(parts);
}

describe('many images resized together', () => {
  it('are what each by itself would be, to the byte', async () => {
    const options = fc.record({
      side: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 150 })),
      imageSize: fc.integer({ min: 1, max: 64 }),
      count: fc.integer({ min: 1, max: 6 }),
      channels: fc.constantFrom(1 as const, 3 as const),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(options, async ({ side, imageSize, count, channels, seed }) => {
        // Black and white dots and lines: whatever leaks from one image into the next is seen.
        let state = seed;
        const data = new Uint8Array(count * side * side * channels).map(() => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          return state > 2 ** 31 ? 255 : state > 2 ** 30 ? state & 255 : 0;
        });
        const images = { data, count, height: side, width: side, channels };
        const format = { imageSize, imageChannels: 3 as const, background: '#ffffff' };
        const together = await resizeImages(images, format);
        const apart = await oneByOne(data, count, side, channels, imageSize);
        expect(Buffer.compare(together, apart)).toBe(0);
      }),
      // 103 to 64: every target row lies between two places that libvips knows weights for.
      { numRuns: 150, examples: [[{ side: 103, imageSize: 64, count: 2, channels: 1, seed: 0 }]] },
    );
  });

  it('are cut to their centred square', async () => {
    const [height, width] = [4, 10];
    const image = new Uint8Array(height * width).map((_, i) => (i % width >= 3 && i % width < 7 ? i : 255));
    const square = [3, 4, 5, 6, 13, 14, 15, 16, 23, 24, 25, 26, 33, 34, 35, 36];
    const data = Uint8Array.from([...image, ...image]);
    const images = { data, count: 2, height, width, channels: 1 as const };
    const format = { imageSize: 4, imageChannels: 1 as const, background: '#ffffff' };
    expect([...(await resizeImages(images, format))]).toEqual([...square, ...square]);
    const turned = new Uint8Array(width * height).map((_, i) => {
      const y = Math.floor(i / height);
      return y >= 3 && y < 7 ? i : 255;
    });
    const upright = { data: turned, count: 1, height: width, width: height, channels: 1 as const };
    expect([...(await resizeImages(upright, format))]).toEqual(Array.from({ length: 16 }, (_, i) => i + 12));
  });

  it('become grey or colour as asked', async () => {
    const grey = { data: Uint8Array.of(7, 200), count: 2, height: 1, width: 1, channels: 1 as const };
    const one = { imageSize: 1, background: '#ffffff' };
    expect([...(await resizeImages(grey, { ...one, imageChannels: 3 }))]).toEqual([7, 7, 7, 200, 200, 200]);
    expect([...(await resizeImages(grey, { ...one, imageChannels: 1 }))]).toEqual([7, 200]);
    const colour = {
      data: Uint8Array.of(1, 2, 3, 90, 90, 90),
      count: 2,
      height: 1,
      width: 1,
      channels: 3 as const,
    };
    expect([...(await resizeImages(colour, { ...one, imageChannels: 3 }))]).toEqual([1, 2, 3, 90, 90, 90]);
    expect([...(await resizeImages(colour, { ...one, imageChannels: 1 }))]).toEqual([2, 90]);
  });
});
