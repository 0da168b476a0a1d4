/** The reverser's functions with a real network. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeGrid } from '../../lib/generation/grid.js';
import { encodePng } from '../../lib/generation/sinks/png.js';
import {
  findNeighbors,
  type ImageBatch,
  interpolateImages,
  reverseImages,
  San,
  scoreImages,
  scoreReference,
  train,
} from '../../lib/index.js';
import { imagesFrom } from '../../lib/metrics/blocks.js';
import { pixelErrors } from '../../lib/reverser/pixel-error.js';
import { findPython } from './python.js';
import { images } from './samples.js';

const python = findPython('numpy', 'reading latents with numpy');
const real = images(24, 16, 3, 5);
let folder = '';
let san: San;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  mkdirSync(join(folder, 'photos'));
  for (let i = 0; i < 24; i++) {
    writeFileSync(join(folder, 'photos', `${String(i).padStart(2, '0')}.png`), encodePng(real, i));
  }
  const small = { imageSize: 16, baseWidth: 4, maxWidth: 16, batchSize: 8, steps: 20, sampleEvery: 0 };
  for await (const _ of train({ data: join(folder, 'photos'), out: join(folder, 'run'), ...small })) {
    // Only the run folder counts.
  }
  san = await San.load(join(folder, 'run'));
});
afterAll(async () => {
  await san?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const photos = () => join(folder, 'photos');

test('latents in a file are those of the images in memory', async () => {
  const out = join(folder, 'z.npy');
  const { shape } = await reverseImages(san, { data: photos(), out });
  expect(shape).toEqual([24, 64, 1, 1]);
  const { data } = await san.reverse(real);
  if (python === undefined) return;
  const script = 'import numpy, sys; z = numpy.load(sys.argv[1]); sys.stdout.buffer.write(z.tobytes())';
  const { stdout, status } = spawnSync(python, ['-c', script, out], { maxBuffer: 2 ** 24 });
  expect(status).toBe(0);
  expect(new Float32Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length))).toEqual(
    data,
  );
});

test('scores in memory are those of the table, with the training images as the reference', async () => {
  const reference = await scoreReference(san, { data: photos() });
  expect(reference.count).toBe(24);
  expect(await scoreReference(san, { data: real })).toEqual(reference);
  const scores = await san.score(real, reference);
  const scored = await scoreImages(san, { data: photos(), out: join(folder, 's.csv') });
  expect(scored.reference).toEqual({ ...reference, data: photos() });
  expect(scored.largest.score).toBe(Math.max(...scores.map(({ score }) => score)));
  const again = await san.reconstruct(real);
  const size = again.data.length / 24;
  const first = again.data
    .subarray(0, size)
    .reduce((sum, v, i) => sum + ((v - (real.data[i] ?? 0)) / 127.5) ** 2, 0);
  expect(scores[0]?.pixelError).toBeCloseTo(first / size, 9);
});

test('a way ends at the reconstructions of its images, and at generated ones', async () => {
  const seed = { seed: 4, index: 9 };
  const way = await san.interpolate({ from: join(photos(), '03.png'), to: seed, frames: 5 });
  expect(imagesFrom(way.images, 0, 1)).toEqual(await san.reconstruct(imagesFrom(real, 3, 1)));
  expect(imagesFrom(way.images, 4, 1)).toEqual(await san.generate({ seed: 4, startIndex: 9, count: 1 }));
  // The same ends in memory; a strip has the same frames.
  const to = await san.latents({ seed: 4, startIndex: 9, count: 1 });
  expect(await san.interpolate({ from: imagesFrom(real, 3, 1), to, frames: 5 })).toEqual(way);
  const out = join(folder, 'way.png');
  const { meanChange, largestChange } = way;
  const result = await interpolateImages(san, { from: imagesFrom(real, 3, 1), to: seed, frames: 5, out });
  expect(result).toEqual({ out, frames: 5, meanChange, largestChange });
  expect(readFileSync(out)).toEqual(await encodeGrid(way.images, { columns: 5 }));
});

test('frames are those of their latents, and differ more evenly than at equal angles', async () => {
  const ends = { from: { seed: 14, index: 0 }, to: { seed: 14, index: 1 } };
  const even = await san.interpolate(ends);
  const angle = await san.interpolate({ ...ends, pace: 'angle' });
  expect([even.fractions.length, even.images.shape]).toEqual([24, [24, 16, 16, 3]]);
  expect(even.latents.shape).toEqual([24, 64, 1, 1]);
  expect(await san.decode(even.latents)).toEqual(even.images);
  expect(even.largestChange / even.meanChange).toBeLessThan(angle.largestChange / angle.meanChange);
  const changes = pixelErrors(imagesFrom(even.images, 1, 23), imagesFrom(even.images, 0, 23)).map(Math.sqrt);
  expect(even.largestChange).toBe(Math.max(...changes));
});

test('a copy is found out: it is among its own neighbours at distance 0', async () => {
  const copied = await san.generate({ seed: 2, startIndex: 6, count: 1 });
  mkdirSync(join(folder, 'leaked'));
  for (let i = 0; i < 24; i++) {
    writeFileSync(join(folder, 'leaked', `${i}.png`), encodePng(real, i));
  }
  writeFileSync(join(folder, 'leaked', 'copy.png'), encodePng(copied, 0));
  const options = {
    data: join(folder, 'leaked'),
    out: join(folder, 'n.png'),
    seed: 2,
    startIndex: 5,
    count: 2,
  };
  const { samples, dataCount } = await findNeighbors(san, options);
  expect(dataCount).toBe(25);
  const [other, copy] = samples;
  expect(copy?.neighbors[0]).toEqual({
    ...{ index: 24, name: 'copy.png' },
    ...{ latentDistance: 0, pixelDistance: 0 },
  });
  expect([copy?.latentRank, copy?.pixelRank]).toEqual([0, 0]);
  expect(other?.neighbors[0]?.latentDistance).toBeGreaterThan(0);

  // In memory: the same real images, the copy the last of them.
  const data = { data: Buffer.concat([real.data, copied.data]), shape: [25, 16, 16, 3] } as ImageBatch;
  const drawn = await san.generate({ seed: 2, startIndex: 5, count: 2 });
  const inMemory = await san.neighbors(drawn, { data, neighbors: 3 });
  expect(inMemory.dataCount).toBe(25);
  expect(inMemory.images.shape).toEqual([6, 16, 16, 3]);
  expect(imagesFrom(inMemory.images, 3, 1)).toEqual(copied);
  expect(inMemory.samples[1]?.neighbors[0]?.name).toBe('row 24');
  const distances = (list: typeof samples | typeof inMemory.samples) =>
    list.map(({ neighbors }) => neighbors.slice(0, 3).map(({ latentDistance }) => latentDistance));
  expect(distances(inMemory.samples)).toEqual(distances(samples));
});
