/** What the metrics refuse, and that nobody waits for one in vain. */
import { describe, expect, test } from 'vitest';
import { type ImageBatch, loadAddon } from '../../lib/native.js';
import { features, images, latents } from './samples.js';
import { root, runNode } from './support.js';

const addon = loadAddon();

describe('what does not fit is refused with a code and the field', () => {
  const [real, fake] = [features(10, 4, 1), features(10, 4, 2)];
  const [some, small] = [images(3, 16, 3, 1), images(3, 12, 3, 1)];
  const infinite = { ...fake, data: Float32Array.from(fake.data).fill(Number.POSITIVE_INFINITY, 3, 4) };
  const cases: [string, () => Promise<unknown>, string, RegExp][] = [
    ['no options', () => addon.frechetDistance(undefined as never), 'frechetDistance', /must be an object/],
    ['no fake', () => addon.frechetDistance({ real } as never), 'frechetDistance.fake', /must be an object/],
    [
      'bytes of features',
      () => addon.frechetDistance({ real, fake: { ...fake, shape: [9, 4] } }),
      'frechetDistance.fake.data',
      /160 bytes; its shape needs 144/,
    ],
    [
      'other dimensions',
      () => addon.frechetDistance({ real, fake: features(5, 3, 1) }),
      'fake.shape',
      /4 and 3/,
    ],
    [
      'one feature',
      () => addon.frechetDistance({ real: features(1, 4, 1), fake }),
      'real.shape',
      /at least 2/,
    ],
    [
      'no features',
      () => addon.kernelDistance({ real: features(0, 4, 1), fake, seed: 1 }),
      'real.shape',
      /0 feat/,
    ],
    ['infinity', () => addon.precisionRecall({ real, fake: infinite }), 'fake.data', /not finite/],
    ['neighbours', () => addon.precisionRecall({ real, fake, neighbours: 10 }), 'real.shape', /at least 11/],
    [
      'no neighbours',
      () => addon.precisionRecall({ real, fake, neighbours: 0 }),
      'precisionRecall.neighbours',
      /integer from 1/,
    ],
    [
      'no seed',
      () => addon.kernelDistance({ real, fake } as never),
      'kernelDistance.seed',
      /must be a number/,
    ],
    [
      'a subset of one',
      () => addon.kernelDistance({ real, fake, seed: 1, subsetSize: 1 }),
      'kernelDistance.subsetSize',
      /integer from 2/,
    ],
    [
      'an unknown option',
      () => addon.kernelDistance({ real, fake, seed: 1, size: 1 } as never),
      'kernelDistance.size',
      /not an option/,
    ],
    [
      'small images',
      () => addon.slicedWasserstein({ real: small, fake: small, seed: 1 }),
      'real.shape',
      /16 by 16/,
    ],
    [
      'images of two sizes',
      () => addon.slicedWasserstein({ real: some, fake: images(3, 32, 3, 1), seed: 1 }),
      'fake.shape',
      /\[3, 32, 32, 3\].*\[3, 16, 16, 3\]/,
    ],
    [
      'images of two counts',
      () => addon.slicedWasserstein({ real: some, fake: images(4, 16, 3, 1), seed: 1 }),
      'fake.shape',
      /as many images/,
    ],
    [
      'oblong images',
      () => {
        const oblong: ImageBatch = { data: new Uint8Array(16 * 20), shape: [1, 16, 20, 1] };
        return addon.slicedWasserstein({ real: oblong, fake: oblong, seed: 1 });
      },
      'real.shape',
      /as wide as/,
    ],
    [
      'one latent',
      () => addon.latentStatistics({ latents: latents(1, 4, 1, 1) }),
      'latents.shape',
      /at least two/,
    ],
    [
      'NaN in latents',
      () => addon.latentStatistics({ latents: latents(4, 4, 1, 1, { shift: Number.NaN }) }),
      'latents.data',
      /not finite/,
    ],
  ];

  test.each(cases)('%s', async (_, attempt, field, message) => {
    await expect(attempt()).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      message: expect.stringMatching(message),
      details: { field },
    });
  });
});

test('a worker that is terminated does not wait for the end of a metric', async () => {
  const calls = {
    kernel: 'addon.kernelDistance({ real, fake: real, seed: 1, subsets: 1e6 })',
    sliced: 'addon.slicedWasserstein({ real: pictures, fake: pictures, seed: 1, directions: 1e6 })',
    neighbours: 'addon.precisionRecall({ real: many, fake: many })',
  };
  const module = (path: string) => JSON.stringify(`${root}dist/${path}.js`);
  const body = (call: string) => `
    const { loadAddon } = await import(${module('lib/native')});
    const { features, images } = await import(${module('test/native/samples')});
    const { parentPort } = await import('node:worker_threads');
    const addon = loadAddon();
    const [real, many, pictures] = [features(2000, 16, 1), features(60000, 8, 1), images(100, 32, 3, 1)];
    ${call};
    parentPort.postMessage('up');`;
  for (const [name, call] of Object.entries(calls)) {
    const outcome = await runNode(`
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(${JSON.stringify(body(call))}, { eval: true });
      await new Promise((resolve) => worker.once('message', resolve));
      await new Promise((resolve) => setTimeout(resolve, 300));
      const begin = performance.now();
      await worker.terminate();
      console.log(Math.round(performance.now() - begin));
    `);
    expect(outcome, name).toMatchObject({ code: 0, signal: null });
    expect(Number(outcome.stdout), name).toBeLessThan(2000);
  }
});
