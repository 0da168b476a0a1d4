import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, expect, it } from 'vitest';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { followRun } from '../../../lib/distributed/follow.js';
import type { Team } from '../../../lib/distributed/team.js';
import { NativeError } from '../../../lib/errors.js';
import { fakeAddon } from '../support/fake-addon.js';
import { temporaryFolder } from '../support/temporary.js';

let data: string;
let extractor: string;
beforeEach(async () => {
  const folder = await temporaryFolder();
  data = join(folder, 'data');
  extractor = join(folder, 'extractor.pt');
  await mkdir(data);
  await writeFile(extractor, 'a fake');
  const picture = sharp({ create: { width: 16, height: 16, channels: 3, background: '#123456' } }).png();
  for (const name of ['a', 'b']) await picture.clone().toFile(join(data, `${name}.png`));
});

/** A rank whose rank 0 says so; and what of the addon it has freed. */
function setUp(says: readonly ('prepare' | 'train' | 'end')[]) {
  const config = resolveConfig([
    { source: '', values: { imageSize: 16, batchSize: 2, metricEvery: 5, metrics: ['fd'], extractor } },
  ]);
  const left = [...says];
  let compared = 0;
  const team = {
    localRank: 1,
    group: {},
    listen: async () => ({ type: left.shift(), config }),
    compareData: async () => {
      compared++;
    },
  } as unknown as Team;
  const { addon, trainers } = fakeAddon();
  let extractors = 0;
  const { createExtractor } = addon;
  addon.createExtractor = async (options) => {
    extractors++;
    const made = await createExtractor(options);
    return {
      ...made,
      dispose: async () => {
        extractors--;
      },
    };
  };
  return { team, addon, trainers, compared: () => compared, extractors: () => extractors, left };
}

it('follows until rank 0 is done, and frees all that it took', async () => {
  const { team, addon, trainers, compared, extractors } = setUp(['prepare', 'train']);
  const { createTrainer } = addon;
  const given: unknown[] = [];
  addon.createTrainer = async (options) => {
    const trainer = await createTrainer(options);
    trainer.follow = async (follow) => {
      given.push(follow);
      return 5;
    };
    return trainer;
  };
  await followRun(team, addon, { data });
  expect(given).toEqual([{ extractor: expect.anything() }]);
  expect([compared(), trainers[0]?.disposals, extractors()]).toEqual([1, 1, 0]);
});

it.each([
  ['nothing to prepare', ['end']],
  ['nothing to train', ['prepare', 'end']],
] as const)('where rank 0 has %s it makes no trainer', async (_, says) => {
  const { team, addon, trainers, compared, left } = setUp(says);
  await followRun(team, addon, { data });
  expect([trainers.length, compared(), left]).toEqual([0, 0, []]);
});

it('frees the extractor when no trainer can be made', async () => {
  const { team, addon, extractors } = setUp(['prepare', 'train']);
  addon.createTrainer = async () => {
    expect(extractors()).toBe(1);
    throw new NativeError('ERR_SAN_OUT_OF_MEMORY', 'out of memory');
  };
  await expect(followRun(team, addon, { data })).rejects.toThrow('out of memory');
  expect(extractors()).toBe(0);
});

it('is ended by a signal: before training with an error, in training by an interruption', async () => {
  const early = setUp(['prepare']);
  await expect(
    followRun(early.team, early.addon, { data, signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ code: 'ERR_SAN_RANK_LOST' });
  const { team, addon } = setUp(['prepare', 'train']);
  const { createTrainer } = addon;
  const controller = new AbortController();
  let interruptions = 0;
  addon.createTrainer = async (options) => {
    const trainer = await createTrainer(options);
    trainer.interrupt = () => {
      interruptions++;
    };
    trainer.follow = async () => {
      controller.abort();
      return 5;
    };
    return trainer;
  };
  await followRun(team, addon, { data, signal: controller.signal });
  expect(interruptions).toBe(1);
});
