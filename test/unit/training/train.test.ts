import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { prepare } from '../../../lib/data/prepared/prepare.js';
import { NativeError } from '../../../lib/errors.js';
import { readSessions } from '../../../lib/training/environment.js';
import { type TrainOptions, train } from '../../../lib/training/train.js';
import { fakeAddon } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

let fake: ReturnType<typeof fakeAddon>;
beforeEach(() => {
  fake = fakeAddon();
  native.addon = fake.addon;
});

/** A folder with images and a text file, and options that train on it in no time. */
async function setUp(count = 5): Promise<TrainOptions & { folder: string }> {
  const folder = await temporaryFolder();
  const data = join(folder, 'data');
  await mkdir(data);
  for (let i = 0; i < count; i++) {
    const background = { r: i * 40, g: 0, b: 0 };
    await sharp({ create: { width: 20, height: 20, channels: 3, background } })
      .png()
      .toFile(join(data, `${i}.png`));
  }
  await writeFile(join(data, 'notes.txt'), 'no image');
  const out = join(folder, 'run');
  return {
    folder,
    data,
    out,
    imageSize: 16,
    baseWidth: 4,
    maxWidth: 8,
    batchSize: 2,
    steps: 8,
    sampleCount: 4,
  };
}

const filesOf = async (folder: string) =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort();

async function ticksOf({ folder: _, ...options }: TrainOptions & { folder?: string }, signal?: AbortSignal) {
  const ticks = [];
  for await (const tick of train(options, { signal })) ticks.push(tick);
  return ticks;
}

describe('train', () => {
  it('loads, begins, steps and ends, and leaves a run folder', async () => {
    const options = await setUp();
    const ticks = await ticksOf(options);
    const types = ticks.map(({ type }) => type);
    // The note: pictures of the fake addon are nearly alike.
    expect([...new Set(types)]).toEqual(['load', 'begin', 'steps', 'note', 'end']);
    expect(ticks.find(({ type }) => type === 'begin')).toMatchObject({ images: 5, steps: 8 });
    expect((await readdir(options.out)).sort()).toEqual([
      'checkpoints',
      'config.json',
      'environment.json',
      'losses.svg',
      'metrics.jsonl',
      'report.html',
      'samples',
      'skipped.jsonl',
      'tensorboard',
    ]);
    expect((await readdir(join(options.out, 'samples'))).sort()).toEqual([
      '000008.png',
      'interpolation-000008.png',
      'real.png',
      'reconstructions-000008.png',
    ]);
    expect(fake.trainers).toHaveLength(1);
    expect(fake.trainers[0]?.disposals).toBe(1);
    expect(fake.trainerOptions[0]).toMatchObject({
      batchSize: 2,
      seed: 1,
      dataset: { path: expect.stringMatching(/\.npy$/) },
    });
    expect(fake.trainerOptions[0]).not.toHaveProperty('threads');
  });

  it('tells the log of the files at the end too', async () => {
    const { folder: _, ...options } = await setUp();
    const told: string[] = [];
    const log = ({ level, message }: { level: string; message: string }) => {
      if (level === 'debug') told.push(message);
    };
    for await (const tick of train(options, { log })) if (tick.type === 'end') break;
    for (const name of ['checkpoints/step-000008.safetensors', 'samples/000008.png', 'report.html'])
      expect(told).toContain(`wrote ${join(options.out, name)}`);
  });

  it('frees the extractor when no trainer can be made', async () => {
    const { folder, ...options } = await setUp();
    let disposals = 0;
    fake.addon.createExtractor = async () => ({
      features: async ({ images: { shape } }) => ({ data: new Float32Array(shape[0]), shape: [shape[0], 1] }),
      dispose: async () => {
        disposals++;
      },
    });
    fake.addon.createTrainer = async () => {
      throw new NativeError('ERR_SAN_OUT_OF_MEMORY', 'out of memory');
    };
    const extractor = join(folder, 'extractor.pt');
    await writeFile(extractor, 'a fake');
    const measuring = { ...options, metricEvery: 4, metrics: ['fd' as const], extractor };
    await expect(ticksOf(measuring)).rejects.toThrow(/out of memory before the first step/);
    expect(disposals).toBe(1);
  });

  it('records no more once a run is left that was to be profiled', async () => {
    const { folder, ...options } = await setUp();
    let recording = false;
    const { startProfile, stopProfile } = fake.addon;
    fake.addon.startProfile = () => {
      recording = true;
      return startProfile();
    };
    fake.addon.stopProfile = () => {
      recording = false;
      return stopProfile();
    };
    const profile = join(folder, 'trace.json');
    for await (const tick of train({ ...options, logEvery: 1, sampleEvery: 4, steps: 30 }, { profile }))
      if (tick.type === 'steps' && tick.step === 4) {
        expect(recording).toBe(true);
        break;
      }
    expect(recording).toBe(false);
  });

  it('records where its images are for those who look from elsewhere', async () => {
    const options = await setUp();
    const dataPath = async () =>
      (await readSessions(join(options.out, 'environment.json'))).at(-1)?.data.path;
    const before = process.cwd();
    process.chdir(options.folder);
    try {
      await ticksOf({ ...options, data: 'data' });
      expect(await dataPath()).toBe(options.data);
      await rm(options.out, { recursive: true });
      // Made of a folder that may go: the file is what was given.
      await prepare({ source: 'data', out: 'set.npy', imageSize: 16 });
      await ticksOf({ ...options, data: 'set.npy' });
      expect(await dataPath()).toBe(join(options.folder, 'set.npy'));
    } finally {
      process.chdir(before);
    }
  });

  it('disposes of the trainer when the loop is left early', async () => {
    const { folder: _, ...options } = await setUp();
    for await (const tick of train({ ...options, steps: 1000 })) if (tick.type === 'steps') break;
    expect(fake.trainers[0]?.disposals).toBe(1);
    expect(await readdir(join(options.out, 'checkpoints'))).toEqual([]);
  });

  it('takes preset, file and keys in that order', async () => {
    const options = await setUp();
    const config = join(options.folder, 'run.yaml');
    await writeFile(config, 'lambda: 0.25\nwGD: 0.125\nwRX: 0.75\n');
    await ticksOf({ ...options, preset: 'paper', config, wGD: 0.5 });
    expect(fake.trainerOptions[0]).toMatchObject({
      optimizer: { lambda: 0.25 },
      loss: { pairing: 'random', wGD: 0.5, wRX: 0.75, penaltyWeight: 10 },
    });
  });

  it('ends in order when aborted while the images are read', async () => {
    const options = await setUp();
    const controller = new AbortController();
    const ticks = [];
    const { folder: _, ...rest } = options;
    for await (const tick of train(rest, { signal: controller.signal })) {
      ticks.push(tick);
      controller.abort();
    }
    expect(ticks.at(-1)).toMatchObject({ type: 'end', stopped: 'aborted', step: 0 });
    expect(fake.trainers).toHaveLength(0);
  });

  it('ends without another write when its folder is taken over or removed', async () => {
    const { folder: _, ...options } = await setUp();
    const lock = join(options.out, 'run.lock');
    const untilStep2 = async (then: () => Promise<void>) => {
      for await (const tick of train({ ...options, sampleEvery: 2, logEvery: 1, checkpointEvery: 0 }))
        if (tick.type === 'steps' && tick.step === 2) await then();
    };
    const before = new Map<string, string>();
    const taken = untilStep2(async () => {
      await writeFile(lock, '{"pid":17,"host":"elsewhere"}');
      for (const name of await filesOf(options.out)) before.set(name, await readFile(name, 'latin1'));
    });
    await expect(taken).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringContaining('process 17 on elsewhere has taken over'),
    });
    expect(await filesOf(options.out)).toEqual([...before.keys()]);
    for (const [name, text] of before) expect(await readFile(name, 'latin1')).toBe(text);
    await rm(options.out, { recursive: true });
    const removed = untilStep2(() => rm(options.out, { recursive: true }));
    await expect(removed).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringContaining('was removed'),
    });
    await expect(readdir(options.out)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('trains where the system does not tell how much memory is in use', async () => {
    const { folder: _, ...options } = await setUp();
    const rss = vi.spyOn(process.memoryUsage, 'rss').mockImplementation(() => {
      throw Object.assign(new Error('no such file or directory, uv_resident_set_memory'), { code: 'ENOENT' });
    });
    onTestFinished(() => rss.mockRestore());
    const ticks = await ticksOf(options);
    expect(ticks.at(-1)).toMatchObject({ type: 'end', stopped: 'finished' });
    for (const tick of ticks) if (tick.type === 'steps') expect(tick.memory).toBeGreaterThan(1e6);
    expect(rss).toHaveBeenCalled();
  });

  it('ends in order when aborted while it waits for the lock of its folder', async () => {
    const { folder: _, ...options } = await setUp();
    for await (const tick of train(options)) if (tick.type === 'steps') break;
    for (const name of ['run.lock', 'run.lock.takeover']) await writeFile(join(options.out, name), '');
    const ticks = await ticksOf({ ...options, resume: true }, AbortSignal.abort());
    expect(ticks.at(-1)).toMatchObject({ type: 'end', stopped: 'aborted', steps: 8 });
  });

  it('may be left while the images are read', async () => {
    const { folder: _, ...options } = await setUp();
    for await (const tick of train(options)) {
      expect(tick.type).toBe('load');
      break;
    }
    expect(fake.trainers).toHaveLength(0);
  });

  it.each<[string, (options: TrainOptions & { folder: string }) => object, object]>([
    ['no data', (o) => ({ data: join(o.folder, 'none') }), { code: 'ERR_SAN_DATA_NOT_FOUND' }],
    [
      'a batch larger than the data',
      () => ({ batchSize: 6 }),
      {
        code: 'ERR_SAN_CONFIG',
        message: 'batchSize = 6 is larger than the number of usable images, 5; lower it or add images',
      },
    ],
    ['an out that is a file', (o) => ({ out: join(o.data, 'notes.txt') }), { code: 'ERR_SAN_OUTPUT' }],
    [
      'an out in the data',
      (o) => ({ out: join(o.data, 'new/run') }),
      { code: 'ERR_SAN_OUTPUT', message: /run lies in the data .*; choose a place outside of it$/ },
    ],
    [
      'an out in the data, where a run is to be resumed or begun',
      (o) => ({ out: join(o.data, 'run'), resume: true }),
      { code: 'ERR_SAN_OUTPUT', message: /run lies in the data/ },
    ],
    [
      'an out that is the data',
      (o) => ({ out: o.data }),
      { code: 'ERR_SAN_OUTPUT', message: /is the data .* itself/ },
    ],
    ['an out of no text', () => ({ out: '' }), { code: 'ERR_SAN_CONFIG', message: /^out must be/ }],
    [
      'a preset nobody made',
      () => ({ preset: 'papers' }),
      { code: 'ERR_SAN_CONFIG', message: /did you mean paper\?/ },
    ],
    [
      'a key nobody knows',
      () => ({ lamda: 0.5 }),
      { code: 'ERR_SAN_CONFIG', message: /did you mean lambda\?/ },
    ],
  ])('refuses %s', async (_, change, expected) => {
    const options = await setUp();
    const caught = await ticksOf({ ...options, ...change(options) }).catch((error) => error);
    const { code, message = /./ } = expected as { code: string; message?: string | RegExp };
    expect(caught.code).toBe(code);
    expect(caught.message).toMatch(message);
    expect(fake.trainers).toHaveLength(0);
  });

  it('leaves no run behind when there is no data', async () => {
    const options = await setUp();
    await expect(ticksOf({ ...options, data: join(options.folder, 'none') })).rejects.toThrow();
    expect(await readdir(options.folder)).not.toContain('run');
  });
});
