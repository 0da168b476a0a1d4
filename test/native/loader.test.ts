/** The loader: which images, in which order, changed how, whoever asks and on however many threads. */
import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AUGMENTATIONS } from '../../lib/config/augmentation.js';
import { type ImageBatch, type LoaderOptions, loadAddon, type NativeLoader } from '../../lib/native.js';
import { writeNpy } from './npy.js';
import { root, runNode, someImages, trainerOptions } from './support.js';

const addon = loadAddon();
const everything = {
  ...AUGMENTATIONS.photographs,
  flipVertical: 0.5,
  rotate90: 0.5,
  rotate: 30,
  translate: 0.2,
  cutout: 0.3,
  cutoutProbability: 0.5,
};

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function withLoader<T>(options: LoaderOptions, use: (loader: NativeLoader) => Promise<T>): Promise<T> {
  const loader = await addon.createLoader(options);
  try {
    return await use(loader);
  } finally {
    await loader.dispose();
  }
}

test('options that are undefined are none', async () => {
  const none = { dataset: undefined, augmentation: undefined, workers: undefined };
  await withLoader({ images: numbered(4), batchSize: 2, seed: 1, ...none }, async (loader) => {
    expect((await loader.batch({ step: 0 })).shape).toEqual([2, 1, 1, 1]);
  });
});

/** Images of 1×1 grey, each with its number as its value: at most 256. */
const numbered = (count: number): ImageBatch => ({
  data: Uint8Array.from({ length: count }, (_, i) => i),
  shape: [count, 1, 1, 1],
});
const numbersOf = (data: Float32Array) => [...data].map((value) => Math.round((value + 1) * 127.5));

async function batches(options: LoaderOptions, steps: number[]): Promise<Float32Array[]> {
  return withLoader(options, async (loader) => {
    const out: Float32Array[] = [];
    for (const step of steps) out.push((await loader.batch({ step })).data.slice());
    return out;
  });
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

test('every image once an epoch, the rest left out, another order in each', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 120 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(1000),
      fc.integer({ min: 1, max: 4 }),
      async (count, batchSize, seed, workers) => {
        fc.pre(batchSize <= count);
        const perEpoch = Math.floor(count / batchSize);
        const all = await batches({ images: numbered(count), batchSize, seed, workers }, upTo(2 * perEpoch));
        for (const epoch of [0, 1]) {
          const seen = all.slice(epoch * perEpoch, (epoch + 1) * perEpoch).flatMap(numbersOf);
          expect(seen).toHaveLength(perEpoch * batchSize);
          expect(new Set(seen).size).toBe(seen.length);
          expect(Math.max(...seen)).toBeLessThan(count);
        }
      },
    ),
    { numRuns: 40 },
  );
  const [first, second] = await batches({ images: numbered(200), batchSize: 200, seed: 1 }, [0, 1]);
  expect(first).not.toEqual(second);
});

test('a batch depends on seed and step alone: any number of threads, any order of asking', async () => {
  const options = { images: someImages(50), batchSize: 8, seed: 3, augmentation: everything };
  const steps = upTo(20);
  const expected = await batches(options, steps);
  expect(await batches({ ...options, workers: 5 }, steps)).toEqual(expected);
  const jumping = [19, 0, 1, 7, 6, 5, 5, 12, 13, 14, 3];
  expect(await batches({ ...options, workers: 2 }, jumping)).toEqual(jumping.map((step) => expected[step]));
  expect(await batches({ ...options, seed: 4 }, [0])).not.toEqual([expected[0]]);
});

test('images() shows what batch() has, and unchanged images without augmentation', async () => {
  const images = someImages(12);
  await withLoader({ images, batchSize: 12, seed: 1, augmentation: everything }, async (loader) => {
    expect(loader.shape).toEqual([12, 8, 8, 3]);
    const { data, shape } = await loader.batch({ step: 5 });
    expect(shape).toEqual([12, 8, 8, 3]);
    const bytes = Buffer.from(data.map((value) => Math.round((value + 1) * 127.5)));
    const sorted = (all: Buffer) =>
      upTo(12)
        .map((i) => all.toString('hex', i * 192, (i + 1) * 192))
        .sort();
    const seen = await loader.images({ epoch: 5, indices: upTo(12) });
    expect(sorted(Buffer.from(seen.data))).toEqual(sorted(bytes));
    expect((await loader.images({ epoch: 6, indices: upTo(12) })).data).not.toEqual(seen.data);
  });
  await withLoader({ images, batchSize: 2, seed: 1 }, async (loader) => {
    expect(await loader.images({ epoch: 9, indices: upTo(12) })).toEqual(images);
  });
});

describe('what does not fit is refused', () => {
  const options = { images: someImages(8), batchSize: 4, seed: 1 };
  test.each<[string, unknown, string, RegExp]>([
    ['no images', { batchSize: 4, seed: 1 }, 'ERR_SAN_OPTIONS', /loader\.dataset or images must be given/],
    ['too few', { ...options, batchSize: 9 }, 'ERR_SAN_OPTIONS', /batchSize is 9 but there are only 8/],
    [
      'not square',
      { ...options, images: { data: new Uint8Array(8 * 32), shape: [8, 4, 8, 1] } },
      'ERR_SAN_SHAPE',
      /\(8, 4, 8, 1\)/,
    ],
    [
      'a strength',
      { ...options, augmentation: { ...AUGMENTATIONS.none, hue: 0.7 } },
      'ERR_SAN_OPTIONS',
      /hue is 0\.7/,
    ],
    [
      'NaN',
      { ...options, augmentation: { ...AUGMENTATIONS.none, cropScale: Number.NaN } },
      'ERR_SAN_OPTIONS',
      /cropScale/,
    ],
    [
      'an unknown augmentation',
      { ...options, augmentation: { ...AUGMENTATIONS.none, blur: 1 } },
      'ERR_SAN_OPTIONS',
      /blur is not an option/,
    ],
  ])('%s', async (_, wrong, code, message) => {
    await expect(addon.createLoader(wrong as LoaderOptions)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  test('an image that is not there, a disposed loader', async () => {
    const loader = await addon.createLoader(options);
    await expect(loader.images({ epoch: 0, indices: [8] })).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
    });
    await loader.dispose();
    await loader.dispose();
    await expect(loader.batch({ step: 0 })).rejects.toMatchObject({ code: 'ERR_SAN_DISPOSED' });
  });
});

test('a fault while batches are made ahead is told once it is their turn, and is not for ever', async () => {
  const path = join(folder, 'images.npy');
  const images = someImages(8);
  writeNpy(path, images);
  const options = { batchSize: 4, seed: 1, workers: 3, augmentation: everything };
  const expected = await batches({ ...options, images }, upTo(30));
  await withLoader({ ...options, dataset: { path } }, async (loader) => {
    expect((await loader.batch({ step: 0 })).data).toEqual(expected[0]);
    truncateSync(path, 300);
    const later = await Promise.allSettled(upTo(20).map((i) => loader.batch({ step: i + 10 })));
    expect(later.map((one) => one.status === 'rejected' && one.reason.code)).toEqual(
      Array(20).fill('ERR_SAN_DATA_CHANGED'),
    );
    writeNpy(path, images);
    expect((await loader.batch({ step: 29 })).data).toEqual(expected[29]);
  });
});

describe('augmented training', () => {
  const options = () => trainerOptions({ augmentation: everything, threads: 1 });

  test('a run that goes on from its state, or back to it, equals an unbroken one', async () => {
    const whole = await addon.createTrainer(options());
    await whole.run({ steps: 4 });
    const middle = await whole.state();
    await whole.run({ steps: 6 });
    const end = await whole.state();
    const resumed = await addon.createTrainer({ ...options(), state: middle });
    await resumed.run({ steps: 6 });
    expect(await resumed.state()).toEqual(end);
    await whole.restore({ state: middle });
    await whole.run({ steps: 6 });
    expect(await whole.state()).toEqual(end);
    const plain = await addon.createTrainer(trainerOptions({ threads: 1 }));
    await plain.run({ steps: 10 });
    expect(await plain.state()).not.toEqual(end);
    for (const trainer of [whole, resumed, plain]) await trainer.dispose();
  });
});

test('processes and workers end while batches are being made', async () => {
  const prelude = `
    const { loadAddon } = await import(${JSON.stringify(`${root}dist/lib/native.js`)});
    const { someImages } = await import(${JSON.stringify(`${root}dist/test/native/support.js`)});
    const images = { data: new Uint8Array(64 * 256 * 256 * 3), shape: [64, 256, 256, 3] };
    const augmentation = ${JSON.stringify(everything)};
    const loader = await loadAddon().createLoader({ images, batchSize: 64, seed: 1, augmentation, workers: 4 });
    await loader.batch({ step: 0 });
    for (let step = 1; step < 100; step++) loader.batch({ step }).catch(() => {});
  `;
  const main = await runNode(`${prelude} setTimeout(() => process.exit(7), 30);`);
  expect(main, main.stderr).toMatchObject({ code: 7, signal: null });
  const worker = await runNode(`
    import { Worker } from 'node:worker_threads';
    const worker = new Worker(${JSON.stringify(`${prelude} (await import('node:worker_threads')).parentPort.postMessage('up');`)}, { eval: true });
    worker.on('exit', (code) => console.log('exit ' + code));
    worker.once('message', () => worker.terminate());
  `);
  expect(worker, worker.stderr).toMatchObject({ code: 0, signal: null, stdout: 'exit 1\n' });
});
