import { describe, expect, it } from 'vitest';
import {
  dryRun,
  evaluate,
  exportOnnx,
  findNeighbors,
  inspectData,
  interpolateImages,
  prepare,
  previewAugmentation,
  profile,
  reconstructImages,
  reverseImages,
  type San,
  scoreImages,
  train,
} from '../../lib/index.js';
import { requireKeys, requireObject } from '../../lib/options.js';

const san = {} as San;

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
