import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diversity, sharpness } from '../../../lib/metrics/pixels.js';
import type { ImageBatch } from '../../../lib/native.js';

const SIZE = 5;
const batch = (images: number[][], channels = 1): ImageBatch => ({
  data: Uint8Array.from(images.flat()),
  shape: [images.length, SIZE, SIZE, channels],
});
const images = (count: number) =>
  fc.array(fc.array(fc.integer({ min: 0, max: 255 }), { minLength: SIZE ** 2, maxLength: SIZE ** 2 }), {
    minLength: count,
    maxLength: count,
  });
const flat = (value: number) => new Array<number>(SIZE ** 2).fill(value);

describe('diversity', () => {
  it('is the root of the mean squared distance of all pairs, over that of real images', () => {
    fc.assert(
      fc.property(images(4), (fake) => {
        const pairs = fake.flatMap((a, i) => fake.slice(i + 1).map((b) => [a, b] as const));
        const squares = pairs.map(([a, b]) => a.reduce((sum, v, i) => sum + (v - (b[i] as number)) ** 2, 0));
        const mean = squares.reduce((a, b) => a + b, 0) / pairs.length / SIZE ** 2;
        // Two flat images that are 10 apart.
        expect(diversity(batch(fake), batch([flat(20), flat(30)]))).toBeCloseTo(Math.sqrt(mean) / 10, 6);
      }),
    );
  });

  it('is 0 for images that are all alike', () => {
    const one = Array.from({ length: SIZE ** 2 }, (_, i) => 9 * i);
    expect(diversity(batch([one, one, one]), batch([flat(0), flat(255)]))).toBeCloseTo(0);
  });
});

it('is 1 where neither kind has any', () => {
  expect(diversity(batch([flat(7), flat(7)]), batch([flat(3), flat(3)]))).toBe(1);
  expect(sharpness(batch([flat(7)]), batch([flat(3)]))).toBe(1);
});

describe('sharpness', () => {
  const checks = Array.from({ length: SIZE ** 2 }, (_, i) => (i % 2) * 100 + 50);
  const weak = Array.from({ length: SIZE ** 2 }, (_, i) => (i % 2) * 50 + 50);

  it('goes with the square of the contrast of details', () => {
    expect(sharpness(batch([weak]), batch([checks]))).toBeCloseTo(0.25);
  });

  it('is 0 for a slope, which has none', () => {
    const slope = Array.from({ length: SIZE ** 2 }, (_, i) => 10 * (i % SIZE) + 7 * Math.floor(i / SIZE));
    expect(sharpness(batch([slope]), batch([checks]))).toBeCloseTo(0);
  });

  it('does not mix channels', () => {
    const colour = (a: number, b: number, c: number) =>
      Array.from({ length: SIZE ** 2 }, () => [a, b, c]).flat();
    const textured = colour(1, 2, 3).map((v, i) => v + (Math.floor(i / 3) % 2) * 40);
    expect(sharpness(batch([colour(0, 200, 30)], 3), batch([textured], 3))).toBeCloseTo(0);
  });
});
