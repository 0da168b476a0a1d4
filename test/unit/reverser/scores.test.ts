import { describe, expect, it } from 'vitest';
import type { ImageBatch, LatentBatch } from '../../../lib/native.js';
import { details, pixelErrors } from '../../../lib/reverser/pixel-error.js';
import { imageMeasures, imageScores, referenceOf } from '../../../lib/reverser/scores.js';

const grey = (...images: number[][]): ImageBatch => ({
  data: Uint8Array.from(images.flat()),
  shape: [images.length, 2, 2, 1],
});
const latents = (...rows: number[][]): LatentBatch => ({
  data: Float32Array.from(rows.flat()),
  shape: [rows.length, rows[0]?.length ?? 0, 1, 1],
});

describe('pixelErrors', () => {
  it('is 4 between black and white, and a mean over pixels', () => {
    expect([
      ...pixelErrors(grey([0, 0, 0, 0], [0, 0, 0, 255]), grey([255, 255, 255, 255], [0, 0, 0, 0])),
    ]).toEqual([4, 1]);
  });
});

describe('details', () => {
  it('is the mean squared step to neighbours, across and down', () => {
    expect([...details(grey([9, 9, 9, 9], [0, 255, 0, 255], [0, 0, 255, 255], [0, 255, 255, 0]))]).toEqual([
      0, 2, 2, 4,
    ]);
  });

  it('compares channels with themselves', () => {
    const pixel = [0, 100, 255];
    const images: ImageBatch = {
      data: Uint8Array.from([pixel, pixel, pixel, pixel].flat()),
      shape: [1, 2, 2, 3],
    };
    expect([...details(images)]).toEqual([0]);
  });
});

describe('scores', () => {
  const images = grey([0, 255, 0, 255], [10, 10, 10, 10]);
  const again = grey([0, 255, 0, 127], [10, 10, 10, 20]);

  it('measures error, error relative to the detail, and the length of the latent', () => {
    const [busy, even] = imageMeasures(images, latents([3, 4], [1, 1]), again);
    const errors = [128 ** 2 / 4 / 127.5 ** 2, 10 ** 2 / 4 / 127.5 ** 2] as const;
    expect(busy?.pixelError).toBeCloseTo(errors[0], 12);
    expect(busy?.relativeError).toBeCloseTo(errors[0] / (2 + 1e-3), 12);
    expect(busy?.latentNorm).toBeCloseTo(Math.sqrt(12.5), 6);
    expect(even?.relativeError).toBeCloseTo(errors[1] / 1e-3, 12);
    expect(even?.latentNorm).toBeCloseTo(1, 6);
  });

  it('is 0 for the usual, and counts deviations of either error above it', () => {
    const z = latents([1, 1], [1, 1]);
    const [, second] = imageMeasures(images, z, again);
    const usual = { mean: Math.log((second?.pixelError ?? 0) + 1e-6), deviation: 0.5 };
    const relative = { mean: Math.log((second?.relativeError ?? 0) + 1e-6), deviation: 0.25 };
    const score = (p: number, r: number) =>
      imageScores(images, z, again, {
        pixelError: { ...usual, mean: usual.mean + p },
        relativeError: { ...relative, mean: relative.mean + r },
        count: 9,
      })[1]?.score;
    expect(score(0, 0)).toBe(0);
    expect(score(1, 1)).toBe(0);
    expect(score(-1.5, 2)).toBeCloseTo(3, 9);
    expect(score(-1.5, -1)).toBeCloseTo(5, 9);
  });

  it('takes mean and deviation of the logarithms, and stays finite where all are alike', () => {
    const measure = (pixelError: number) => ({ pixelError, relativeError: 1, latentNorm: 1 });
    const reference = referenceOf([measure(Math.E), measure(Math.E ** 3)]);
    expect(reference.count).toBe(2);
    expect(reference.pixelError.mean).toBeCloseTo(2, 5);
    expect(reference.pixelError.deviation).toBeCloseTo(1, 5);
    expect(reference.relativeError.deviation).toBeGreaterThan(0);
  });
});
