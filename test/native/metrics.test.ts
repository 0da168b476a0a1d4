import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type FeatureBatch, type ImageBatch, type LatentBatch, loadAddon } from '../../lib/native.js';
import { findPython } from './python.js';
import { features, images, latents } from './samples.js';
import { root } from './support.js';

const addon = loadAddon();

const python = findPython('numpy, scipy', 'the comparison of the metrics with NumPy and SciPy');
const folder = mkdtempSync(join(tmpdir(), 'san-metrics-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function saved({ data, shape }: FeatureBatch | ImageBatch | LatentBatch) {
  const file = join(folder, `${files++}.bin`);
  writeFileSync(file, data);
  return { file, shape };
}

/** What metrics_oracle.py says to each case. */
function oracle<T>(cases: object[]): T[] {
  const output = execFileSync(python as string, [join(root, 'test/native/metrics_oracle.py')], {
    input: JSON.stringify(cases),
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return JSON.parse(output) as T[];
}

const relative = (a: number, b: number) => Math.abs(a - b) / Math.abs(b);
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const variance = (values: number[]) =>
  values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1);

const sets: [string, FeatureBatch, FeatureBatch][] = [
  ['more features than dimensions', features(400, 40, 1), features(350, 40, 2, 0.2)],
  ['fewer features than dimensions', features(60, 200, 3), features(70, 200, 4, 0.1)],
  ['one set on either side of the dimensions', features(50, 64, 5), features(3000, 64, 6)],
];

describe.skipIf(python === undefined).each(sets)('against NumPy and SciPy: %s', (name, real, fake) => {
  const sides = { real: saved(real), fake: saved(fake) };

  test('Fréchet distance', async () => {
    const ours = await addon.frechetDistance({ real, fake });
    const [theirs] = oracle<{ eigen: number; sqrtm: number }>([{ metric: 'frechet', ...sides }]);
    const [eigen, sqrtm] = [relative(ours, theirs?.eigen ?? 0), relative(ours, theirs?.sqrtm ?? 0)];
    console.log(`FD, ${name}: ${ours}, off by ${eigen.toExponential(1)}; by sqrtm ${sqrtm.toExponential(1)}`);
    expect(eigen).toBeLessThan(1e-6);
    // sqrtm takes roots of the rounding errors of zero eigenvalues, where there are any.
    expect(sqrtm).toBeLessThan(Math.min(real.shape[0], fake.shape[0]) > real.shape[1] ? 1e-6 : 1e-2);
  });

  test('kernel distance of everything', async () => {
    const subsetSize = Math.max(real.shape[0], fake.shape[0]);
    const ours = await addon.kernelDistance({ real, fake, seed: 1, subsetSize });
    const [theirs] = oracle<{ whole: number }>([{ metric: 'kernel', ...sides }]);
    const gap = relative(ours, theirs?.whole ?? 0);
    console.log(`KID, ${name}: ${ours}, off by ${gap.toExponential(1)}`);
    expect(gap).toBeLessThan(1e-6);
  });

  test('kernel distance of subsets, within sampling error', async () => {
    const [subsets, subsetSize] = [100, 30];
    const ours = await addon.kernelDistance({ real, fake, seed: 1, subsets, subsetSize });
    const [theirs] = oracle<{ mean: number; deviation: number }>([
      { metric: 'kernel', ...sides, subsets, subsetSize },
    ]);
    // Two means of as many draws: four standard errors of their difference.
    const error = (theirs?.deviation ?? 0) * Math.sqrt(2 / subsets);
    expect(Math.abs(ours - (theirs?.mean ?? 0))).toBeLessThan(4 * error);
  });

  test.each([1, 3, 5])('precision and recall with %i neighbours', async (neighbours) => {
    const ours = await addon.precisionRecall({ real, fake, neighbours });
    const [theirs] = oracle<typeof ours>([{ metric: 'precisionRecall', ...sides, neighbours }]);
    expect(ours).toEqual(theirs);
    if (neighbours === 3) expect(await addon.precisionRecall({ real, fake })).toEqual(ours);
  });
});

describe.skipIf(python === undefined)('against NumPy and SciPy', () => {
  test.each([
    ['more latents than dimensions', latents(500, 6, 2, 1, { scale: 1.2, shift: 0.1 })],
    ['fewer latents than dimensions', latents(20, 16, 2, 2)],
    ['one dimension', latents(50, 1, 1, 3)],
  ])('latent statistics: %s', async (_, some) => {
    const ours = await addon.latentStatistics({ latents: some });
    const [theirs] = oracle<typeof ours>([{ metric: 'latents', latents: saved(some) }]);
    for (const key of ['mean', 'variance', 'covariance'] as const)
      expect(ours[key], key).toBeCloseTo(theirs?.[key] ?? Number.NaN, 10);
  });

  const kinds: [string, ImageBatch, ImageBatch, number[]][] = [
    ['64 pixels, colour', images(40, 64, 3, 1), images(40, 64, 3, 9, { detail: 30 }), [64, 32, 16]],
    ['28 pixels, grey', images(60, 28, 1, 2), images(60, 28, 1, 8, { waves: 40 }), [28]],
  ];

  test.each(kinds)(
    'sliced Wasserstein with the documented random numbers: %s',
    async (_, real, fake, sizes) => {
      const settings = { seed: 2 ** 35 + 3, patchesPerImage: 15, directions: 48 };
      const ours = await addon.slicedWasserstein({ real, fake, ...settings });
      const sides = { real: saved(real), fake: saved(fake) };
      const [theirs] = oracle<number[]>([{ metric: 'slicedDocumented', ...sides, ...settings }]);
      expect(ours.map(({ size }) => size)).toEqual(sizes);
      const gaps = ours.map(({ distance }, level) => relative(distance, theirs?.[level] ?? 0));
      console.log(
        `SWD: ${ours.map(({ distance }) => distance.toFixed(3))}, off by at most ${Math.max(...gaps)}`,
      );
      // float32 against float64.
      expect(Math.max(...gaps)).toBeLessThan(1e-5);
    },
  );

  test.each(kinds)('sliced Wasserstein with random numbers of their own: %s', async (_, real, fake) => {
    const settings = { patchesPerImage: 32, directions: 64 };
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
    const sides = { real: saved(real), fake: saved(fake) };
    const [theirs] = oracle<number[][]>([{ metric: 'sliced', ...sides, ...settings, seeds }]);
    const ours = await Promise.all(
      seeds.map((seed) => addon.slicedWasserstein({ real, fake, seed, ...settings })),
    );
    for (const [level, { size }] of (ours[0] ?? []).entries()) {
      const a = ours.map((run) => run[level]?.distance ?? Number.NaN);
      const b = (theirs ?? []).map((run) => run[level] ?? Number.NaN);
      // Eight runs each: five standard errors of the difference of the means.
      const error = Math.sqrt((variance(a) + variance(b)) / seeds.length);
      const gap = mean(a) - mean(b);
      console.log(
        `SWD at ${size}: ${mean(a).toFixed(2)}, ${mean(b).toFixed(2)}, ${(gap / error).toFixed(1)} errors`,
      );
      expect(Math.abs(gap), `level ${size}`).toBeLessThan(5 * error);
      expect(error, `level ${size}`).toBeLessThan(0.1 * mean(a));
    }
  });
});

describe('without another implementation', () => {
  test('the distance of a set to itself', async () => {
    const [real, few] = [features(300, 32, 1), features(20, 32, 1)];
    expect(await addon.frechetDistance({ real, fake: real })).toBeLessThan(1e-10);
    expect(await addon.frechetDistance({ real: few, fake: few })).toBeLessThan(1e-10);
    expect(await addon.precisionRecall({ real, fake: real })).toEqual({ precision: 1, recall: 1 });
  });

  test('the Fréchet distance of sets of known moments', async () => {
    // Points at ±1 and at 5 ± 3, each twice: variances 4/3 and 12.
    const real: FeatureBatch = { data: Float32Array.of(1, -1, 1, -1), shape: [4, 1] };
    const fake: FeatureBatch = { data: Float32Array.of(2, 8, 2, 8), shape: [4, 1] };
    const expected = 25 + (Math.sqrt(4 / 3) - Math.sqrt(12)) ** 2;
    expect(await addon.frechetDistance({ real, fake })).toBeCloseTo(expected, 12);
  });

  test('precision and recall of sets that cover each other in part', async () => {
    const line = (...data: number[]): FeatureBatch => ({
      data: Float32Array.from(data),
      shape: [data.length, 1],
    });
    // With one neighbour the real balls are [-1, 1], [0, 2] and [9, 13], [10, 12]; the fake ones have radius 0.
    const found = await addon.precisionRecall({
      real: line(0, 1, 11, 11.5),
      fake: line(2, 2, 5, 5),
      neighbours: 1,
    });
    expect(found).toEqual({ precision: 0.5, recall: 0 });
  });

  test('equal features far from zero are at distance zero', async () => {
    const data = Float32Array.from({ length: 8 * 100 }, (_, i) => 1e4 + Math.fround(Math.sin(i % 100)));
    const same: FeatureBatch = { data, shape: [8, 100] };
    expect(await addon.precisionRecall({ real: same, fake: same })).toEqual({ precision: 1, recall: 1 });
  });

  test('latents of the prior, and of one that collapsed', async () => {
    const prior = await addon.latentStatistics({ latents: latents(4000, 8, 2, 1) });
    for (const value of Object.values(prior)) expect(value).toBeLessThan(0.05);
    const flat = await addon.latentStatistics({ latents: latents(10, 8, 2, 1, { scale: 0, shift: 2 }) });
    expect(flat).toEqual({ mean: 2, variance: 1, covariance: 0 });
  });

  test('a result is a function of arguments and seed', async () => {
    const [real, fake] = [images(20, 32, 3, 1), images(20, 32, 3, 2)];
    const sliced = (seed: number) => addon.slicedWasserstein({ real, fake, seed, directions: 16 });
    expect(await sliced(1)).toEqual(await sliced(1));
    expect(await sliced(1)).not.toEqual(await sliced(2));
    const sides = { real: features(100, 8, 1), fake: features(90, 8, 2) };
    const kernel = (seed: number) => addon.kernelDistance({ ...sides, seed, subsets: 4, subsetSize: 20 });
    expect(await kernel(1)).toBe(await kernel(1));
    expect(await kernel(1)).not.toBe(await kernel(2));
    // Larger than the sets: as if it were not.
    expect(await addon.kernelDistance({ ...sides, seed: 1 })).toBe(
      await addon.kernelDistance({ ...sides, seed: 2, subsets: 1, subsetSize: 100 }),
    );
  });

  test('the sliced Wasserstein distance tells other images from the same sort, and bears flat ones', async () => {
    const real = images(60, 32, 3, 1);
    const distances = async (fake: ImageBatch) =>
      (await addon.slicedWasserstein({ real, fake, seed: 3 })).map(({ distance }) => distance);
    const same = await distances(images(60, 32, 3, 5));
    const other = await distances(images(60, 32, 3, 5, { detail: 2, waves: 100 }));
    const flat = await distances({ data: new Uint8Array(real.data.length).fill(127), shape: real.shape });
    expect(same).toHaveLength(2);
    // The noise is in the finest level; each level is normalised.
    expect(same[0]).toBeLessThan(0.5 * (other[0] as number));
    for (const level of [0, 1]) {
      expect(flat[level]).toBeGreaterThan(100);
      expect(flat[level]).toBeLessThan(2000);
    }
  });

  test('sizes halve while they are even and at least 16 pixels are left', async () => {
    const sizes = async (size: number) => {
      const some = images(2, size, 1, 1);
      const levels = await addon.slicedWasserstein({ real: some, fake: some, seed: 1, directions: 2 });
      return levels.map((level) => level.size);
    };
    expect(await sizes(16)).toEqual([16]);
    expect(await sizes(33)).toEqual([33]);
    expect(await sizes(72)).toEqual([72, 36, 18]);
    expect(await sizes(128)).toEqual([128, 64, 32, 16]);
  });
});
