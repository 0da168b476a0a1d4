import { describe, expect, it } from 'vitest';
import {
  dryRun,
  evaluate,
  exportOnnx,
  findNeighbors,
  inspectData,
  interpolateImages,
  precisionError,
  prepare,
  previewAugmentation,
  profile,
  reconstructImages,
  reverseImages,
  type San,
  scoreImages,
  scoreReference,
  train,
} from '../../lib/index.js';
import { requireKeys, requireObject } from '../../lib/options.js';

const san = { reverse() {} } as unknown as San;

const calls: Record<string, (options: never) => Promise<unknown>> = {
  dryRun,
  evaluate,
  exportOnnx,
  findNeighbors: (options) => findNeighbors(san, options),
  inspectData,
  interpolateImages: (options) => interpolateImages(san, options),
  prepare,
  previewAugmentation,
  profile: (options) => profile(options, async () => {}),
  reconstructImages: (options) => reconstructImages(san, options),
  reverseImages: (options) => reverseImages(san, options),
  scoreImages: (options) => scoreImages(san, options),
  train: (options) => train(options).next(),
};

describe('options of the API', () => {
  for (const [name, call] of Object.entries(calls)) {
    it.each([undefined, null, 5, 'photos', [] as unknown])(
      `${name}(%j) is told what it needs`,
      async (value) => {
        await expect(call(value as never)).rejects.toMatchObject({
          code: 'ERR_SAN_OPTIONS',
          message: expect.stringMatching(/^options = .*: expected an object such as \{ /),
        });
      },
    );
  }

  const withSan: Record<string, (san: San) => Promise<unknown>> = {
    findNeighbors: (san) => findNeighbors(san, { data: 'photos', out: 'n', seed: 1 }),
    interpolateImages: (san) =>
      interpolateImages(san, { from: { seed: 1, index: 0 }, to: { seed: 1, index: 1 }, out: 'way.png' }),
    precisionError: (san) => precisionError(san, { seed: 1, count: 1 }),
    reconstructImages: (san) => reconstructImages(san, { data: 'photos', out: 'sheet.png' }),
    reverseImages: (san) => reverseImages(san, { data: 'photos', out: 'latents.npy' }),
    scoreImages: (san) => scoreImages(san, { data: 'photos', out: 'scores.csv', reference: 'photos' }),
    scoreReference: (san) => scoreReference(san, { data: 'photos' }),
  };
  for (const [name, call] of Object.entries(withSan)) {
    it.each([
      [undefined, 'san = undefined: expected what `await San.load('],
      ['runs/photos', 'san = "runs/photos": expected what'],
      // await forgotten
      [Promise.resolve(san), 'san = Promise {'],
      [Object.create(null) as unknown, 'san = [Object: null prototype] {}: expected what'],
    ])(`${name}() tells what it needs in place of %o`, async (value, message) => {
      await expect(call(value as San)).rejects.toMatchObject({
        code: 'ERR_SAN_OPTIONS',
        message: expect.stringContaining(message),
        details: { field: 'san' },
      });
    });
  }

  it('names the function that profile() lacks', async () => {
    await expect(profile({ path: 'trace.json' }, undefined as never)).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field: 'work' },
    });
  });

  it('shows what it was given', () => {
    expect(() => requireObject('photos', '{ data }')).toThrow(
      'options = "photos": expected an object such as { data }',
    );
    expect(() => requireKeys({ dta: 1 }, ['data'])).toThrow('unknown option "dta"; did you mean data?');
  });
});
