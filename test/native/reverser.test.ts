/** The reverser's functions with a real network. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodePng } from '../../lib/generation/sinks/png.js';
import {
  findNeighbors,
  type ImageBatch,
  interpolateImages,
  type LatentBatch,
  reverseImages,
  San,
  scoreImages,
  scoreReference,
  train,
} from '../../lib/index.js';
import { imagesFrom } from '../../lib/metrics/blocks.js';
import { pixelErrors } from '../../lib/reverser/pixel-error.js';
import { drawAt, drawEvenly, evenFractions } from '../../lib/reverser/way.js';
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
  const out = join(folder, 'way.png');
  const ends = { from: join(photos(), '03.png'), to: { seed: 4, index: 9 } };
  await interpolateImages(san, { ...ends, frames: 5, out });
  const again = await san.reconstruct(imagesFrom(real, 3, 1));
  const drawn = await san.generate({ seed: 4, startIndex: 9, count: 1 });
  const { data, info } = await sharp(out).raw().toBuffer({ resolveWithObject: true });
  // Images of 16 pixels, enlarged fourfold, in cells of 17.
  const frame = (i: number) => {
    const at = (y: number, x: number) => 4 * (info.width * 4 * (1 + y) + 4 * (1 + 17 * i + x));
    return Array.from({ length: 256 }, (_, p) => {
      const from = (at(p >> 4, p & 15) / 4) * info.channels;
      return [...data.subarray(from, from + 3)];
    }).flat();
  };
  expect(frame(0)).toEqual([...again.data]);
  expect(frame(4)).toEqual([...drawn.data]);
});

test('frames are those of their points on the way, and differ more evenly than at equal angles', async () => {
  const latents = await san.latents({ seed: 6, count: 2 });
  const [from, to] = [0, 1].map((i) => ({ ...latents, data: latents.data.slice(i * 64, i * 64 + 64) }));
  const ends = { from, to } as { from: LatentBatch; to: LatentBatch };
  for (const end of [from, to] as LatentBatch[]) end.shape = [1, 64, 1, 1];
  const { fractions, images } = await drawEvenly(san, ends, 24, {});
  expect([fractions.length, images.shape]).toEqual([24, [24, 16, 16, 3]]);
  expect(images).toEqual(await drawAt(san, ends, fractions, {}));
  const unevenness = (batch: ImageBatch) => {
    const changes = [...pixelErrors(imagesFrom(batch, 1, 23), imagesFrom(batch, 0, 23))].map(Math.sqrt);
    return Math.max(...changes) / (changes.reduce((a, b) => a + b, 0) / changes.length);
  };
  expect(unevenness(images)).toBeLessThan(unevenness(await drawAt(san, ends, evenFractions(24), {})));
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
  expect(copy?.neighbors[0]).toEqual({ name: 'copy.png', latentDistance: 0, pixelDistance: 0 });
  expect([copy?.latentRank, copy?.pixelRank]).toEqual([0, 0]);
  expect(other?.neighbors[0]?.latentDistance).toBeGreaterThan(0);
});
