import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { stepsToRemove } from '../../../lib/training/checkpoint-writer.js';
import type { Tick } from '../../../lib/training/ticks.js';
import { type TrainControl, type TrainOptions, train } from '../../../lib/training/train.js';
import { fakeAddon, someLosses } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

let fake: ReturnType<typeof fakeAddon>;
let options: TrainOptions;
beforeEach(async () => {
  fake = fakeAddon({ lossesAt: (step) => someLosses(1 / step) });
  native.addon = fake.addon;
  const folder = await temporaryFolder();
  const data = join(folder, 'data');
  await mkdir(data);
  for (let i = 0; i < 3; i++) {
    const image = sharp({
      create: { width: 8, height: 8, channels: 3, background: { r: i * 40, g: 0, b: 0 } },
    });
    await image.png().toFile(join(data, `${i}.png`));
  }
  options = { data, out: join(folder, 'run'), imageSize: 16, baseWidth: 4, maxWidth: 8, batchSize: 2 };
  options = { ...options, sampleCount: 4, steps: 30, logEvery: 4, checkpointEvery: 7, sampleEvery: 10 };
});

async function ticksOf(changes: Partial<TrainOptions> = {}, control: TrainControl = {}): Promise<Tick[]> {
  const ticks = [];
  for await (const tick of train({ ...options, ...changes }, control)) ticks.push(tick);
  return ticks;
}

/** Trains up to a step and leaves as a kill would: without the checkpoint of an end. */
async function brokenOffAt(step: number): Promise<void> {
  for await (const tick of train(options)) if (tick.type === 'steps' && tick.step >= step) break;
}

const read = async (name: string) =>
  (await readFile(join(options.out, name), 'utf8')).replaceAll(/"seconds":[^,]*/g, '"seconds":0');
const checkpoints = async () => (await readdir(join(options.out, 'checkpoints'))).sort();

describe('a resumed run', () => {
  it('goes on from the newest checkpoint and leaves the files of an unbroken one', async () => {
    await ticksOf();
    const [metrics, curve, kept] = [
      await read('metrics.jsonl'),
      await read('losses.svg'),
      await checkpoints(),
    ];
    await rm(options.out, { recursive: true });
    await brokenOffAt(18);
    await writeFile(join(options.out, 'checkpoints/.san-1f.tmp'), 'half of a file');
    const ticks = await ticksOf({ resume: true });
    expect(fake.trainerOptions.at(-1)?.state?.step).toBe(14);
    expect(ticks.find(({ type }) => type === 'begin')).toMatchObject({
      step: 14,
      checkpoint: join(options.out, 'checkpoints/step-000014.safetensors'),
    });
    expect(ticks.at(-1)).toMatchObject({ stopped: 'finished', step: 30, images: 60 });
    expect([await read('metrics.jsonl'), await read('losses.svg'), await checkpoints()]).toEqual([
      metrics,
      curve,
      kept,
    ]);
    expect(kept).toEqual(['step-000021.safetensors', 'step-000028.safetensors', 'step-000030.safetensors']);
    expect(await readdir(options.out)).not.toContain('run.lock');
  });

  it('begins where there is no run, and at step 0 where there is no checkpoint', async () => {
    expect(await ticksOf({ resume: true, steps: 5 })).toContainEqual({
      type: 'note',
      level: 'info',
      message: `there is no run in ${options.out} yet; beginning one`,
    });
    await rm(options.out, { recursive: true });
    await brokenOffAt(3);
    const ticks = await ticksOf({ resume: true });
    expect(ticks.find(({ type }) => type === 'begin')).toMatchObject({ step: 0 });
    expect((await read('metrics.jsonl')).trim().split('\n')).toHaveLength(8);
  });

  it('passes over a checkpoint that leads nowhere, which the next one replaces', async () => {
    await brokenOffAt(18);
    await symlink('/nonexistent', join(options.out, 'checkpoints/step-000099.safetensors'));
    const ticks = await ticksOf({ resume: true });
    expect(ticks.find(({ type }) => type === 'begin')).toMatchObject({ step: 14 });
    expect(ticks).toContainEqual(
      expect.objectContaining({ level: 'warning', message: expect.stringContaining('step-000099') }),
    );
    expect(await checkpoints()).not.toContain('step-000099.safetensors');
  });

  it('takes its own settings; those that are no mathematics may change', async () => {
    await brokenOffAt(10);
    const { data, out } = options;
    for await (const _ of train({ data, out, resume: true, steps: 12, keepLast: 1, threads: 1 }));
    expect(JSON.parse(await read('config.json'))).toMatchObject({ steps: 12, keepLast: 1, imageSize: 16 });
    expect(await checkpoints()).toEqual(['step-000012.safetensors']);
  });

  it.each<[Partial<TrainOptions>, string]>([
    [{ lambda: 0.75 }, 'lambda = 0.75: the run in RUN has lambda = 0.5'],
    [{ seed: 2 }, 'seed = 2: the run in RUN has seed = 1'],
    [{ imageSize: 32 }, 'imageSize = 32: the run in RUN has imageSize = 16'],
    [{ preset: 'paper' }, 'adoThreshold = 0.3: the run in RUN has adoThreshold = 0.1'],
  ])('is refused with %o', async (changes, message) => {
    await brokenOffAt(8);
    await expect(ticksOf({ ...changes, resume: true })).rejects.toMatchObject({
      code: 'ERR_SAN_CONFIG',
      message: `${message.replace('RUN', options.out)}, which cannot change in a run; leave it as it was, or begin a new run`,
    });
    await ticksOf({ resume: true });
  });

  it('is refused with a setting that it was begun without, and without one that it was begun with', async () => {
    const refusal = (message: string) => ({
      code: 'ERR_SAN_CONFIG',
      message: `${message}, which cannot change in a run; leave it as it was, or begin a new run`,
      details: expect.objectContaining({ field: 'emaHalfLife' }),
    });
    const given = { emaHalfLife: 100, resume: true };
    const without = refusal(`emaHalfLife = 100: the run in ${options.out} has no emaHalfLife`);
    await brokenOffAt(3);
    expect(await checkpoints()).toEqual([]);
    await expect(ticksOf(given)).rejects.toMatchObject(without);
    await rm(options.out, { recursive: true });
    await brokenOffAt(8);
    await expect(ticksOf(given)).rejects.toMatchObject(without);
    const config = join(options.out, 'config.json');
    const begun = JSON.parse(await readFile(config, 'utf8'));
    await writeFile(config, JSON.stringify({ ...begun, emaHalfLife: 100 }));
    const newest = join(options.out, 'checkpoints/step-000007.safetensors');
    await expect(ticksOf({ resume: true })).rejects.toMatchObject(
      refusal(`emaHalfLife = 100: ${newest} was made with no emaHalfLife`),
    );
    await rm(options.out, { recursive: true });
    options = { ...options, emaHalfLife: 100 };
    await brokenOffAt(8);
    await writeFile(config, JSON.stringify(begun));
    const { emaHalfLife: _, ...others } = options;
    options = others;
    await expect(ticksOf({ resume: true })).rejects.toMatchObject(
      refusal(`no emaHalfLife: ${newest} was made with emaHalfLife = 100`),
    );
  });

  it.each([3, 8])('of a version that lacked a setting has its default, after step %i', async (step) => {
    await brokenOffAt(step);
    const config = join(options.out, 'config.json');
    const { checkerboardFree: _, accumulate: _passes, ...begun } = JSON.parse(await readFile(config, 'utf8'));
    await writeFile(config, JSON.stringify(begun));
    await expect(ticksOf({ checkerboardFree: true, resume: true })).rejects.toThrow(
      `checkerboardFree = true: the run in ${options.out} has checkerboardFree = false, which cannot change`,
    );
    await expect(ticksOf({ lamda: 0.5, resume: true } as object)).rejects.toThrow('did you mean lambda?');
    const ticks = await ticksOf({ checkerboardFree: false, resume: true });
    expect(ticks.at(-1)).toMatchObject({ stopped: 'finished', step: 30 });
  });

  it('is refused without its config.json, and can then be begun from', async () => {
    await brokenOffAt(8);
    await rm(join(options.out, 'config.json'));
    await expect(ticksOf({ resume: true })).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: `${options.out} holds a training run without its config.json, which resuming takes the settings from; restore that file, or begin a new run in another folder with --init-from ${options.out} (in the API initFrom)`,
    });
    await expect(ticksOf({ out: join(options.data, '0.png'), resume: true })).rejects.toThrow(/is a file/);
    const ticks = await ticksOf({ out: `${options.out}-2`, initFrom: options.out });
    expect(ticks.at(-1)).toMatchObject({ stopped: 'finished' });
  });

  it('in its own data is refused for what it did to them', async () => {
    await brokenOffAt(8);
    const out = join(options.data, 'run');
    await rename(options.out, out);
    await expect(ticksOf({ out })).rejects.toThrow(/already holds a training run/);
    await expect(ticksOf({ out, resume: true })).rejects.toMatchObject({ code: 'ERR_SAN_DATA_CHANGED' });
  });

  it('is refused with other images', async () => {
    await brokenOffAt(8);
    await rm(join(options.data, '0.png'));
    await expect(ticksOf({ resume: true })).rejects.toMatchObject({ code: 'ERR_SAN_DATA_CHANGED' });
  });

  it('names damaged checkpoints, and replaces them', async () => {
    await brokenOffAt(21);
    const damaged = join(options.out, 'checkpoints/step-000999.safetensors');
    await writeFile(damaged, 'no checkpoint');
    const ticks = await ticksOf({ resume: true });
    expect(ticks.filter(({ type }) => type === 'note')).toEqual([
      { type: 'note', level: 'warning', message: expect.stringContaining(damaged) },
      // Pictures of the fake addon are nearly alike.
      { type: 'note', level: 'warning', message: expect.stringContaining('mode collapse') },
    ]);
    expect(await checkpoints()).not.toContain('step-000999.safetensors');
  });

  it('may go back for a failure behind the one that its checkpoint was written past', async () => {
    let bad = [10, 11, 12];
    const lossesAt = (step: number) => {
      const isBad = bad.includes(step);
      bad = bad.filter((other) => other !== step);
      return someLosses(isBad ? Number.NaN : 1);
    };
    native.addon = fakeAddon({ lossesAt, secondsPerStep: 1 }).addon;
    await brokenOffAt(15);
    expect(bad).toEqual([]);
    bad = [16, 17, 18];
    const ticks = await ticksOf({ resume: true });
    expect(ticks).toContainEqual(
      expect.objectContaining({ message: expect.stringMatching(/up to step 18 .* went back to step 14, /) }),
    );
    expect(ticks.at(-1)).toMatchObject({ stopped: 'finished', step: 30 });
  });

  it('that is finished measures what it has not, once, and keeps all its lines', async () => {
    await ticksOf();
    const before = await read('metrics.jsonl');
    // The last line is between the multiples of logEvery.
    expect(before.trim().split('\n').at(-1)).toContain('"step":30');
    const measuring = { resume: true, metricEvery: 10, metrics: ['latentMean' as const] };
    const ticks = await ticksOf(measuring);
    expect(ticks.at(-1)).toMatchObject({ stopped: 'finished', step: 30, metrics: { latentMean: 0.1 } });
    const after = await read('metrics.jsonl');
    expect(after).toBe(`${before}{"step":30,"images":60,"seconds":0,"latentMean":0.1}\n`);
    expect((await ticksOf(measuring)).map(({ type }) => type)).toEqual(['note', 'end']);
    expect(await read('metrics.jsonl')).toBe(after);
  });

  it('with more steps forgets the evaluation at its end that an unbroken one does not make', async () => {
    const measuring = { metricEvery: 20, metrics: ['latentMean' as const] };
    const measured = async () =>
      (await read('metrics.jsonl'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .flatMap(({ step, latentMean }) => (latentMean === undefined ? [] : [step]));
    await ticksOf(measuring);
    expect(await measured()).toEqual([20, 30]);
    await ticksOf({ ...measuring, resume: true, steps: 50 });
    expect(await measured()).toEqual([20, 40, 50]);
    const continued = await read('metrics.jsonl');
    await rm(options.out, { recursive: true });
    await ticksOf({ ...measuring, steps: 50 });
    expect(await read('metrics.jsonl')).toBe(continued);
  });

  it('goes on by itself when its launcher starts it again', async () => {
    await brokenOffAt(8);
    const ranks = { rank: 0, worldSize: 1, host: 'localhost', port: 29500 };
    await expect(ticksOf({}, { ranks })).rejects.toThrow(/already holds a training run/);
    const ticks = await ticksOf({}, { ranks: { ...ranks, attempt: 1 } });
    expect(ticks.find(({ type }) => type === 'begin')).toMatchObject({ step: 7 });
  });

  it('writes nothing when its folder is taken over while the images are read', async () => {
    await brokenOffAt(8);
    const environment = await read('environment.json');
    const run = (async () => {
      for await (const tick of train({ ...options, resume: true }))
        if (tick.type === 'load')
          await writeFile(join(options.out, 'run.lock'), '{"pid":17,"host":"elsewhere"}');
    })();
    await expect(run).rejects.toThrow(/process 17 on elsewhere has taken over/);
    expect(await read('environment.json')).toBe(environment);
  });

  it('that is finished takes no step', async () => {
    await ticksOf();
    const trainers = fake.trainers.length;
    const ticks = await ticksOf({ resume: true });
    expect(ticks.map(({ type }) => type)).toEqual(['note', 'end']);
    expect(ticks.at(-1)).toMatchObject({ stopped: 'finished', step: 30, steps: 30, images: 60 });
    const measuringNothing = await ticksOf({ resume: true, metricEvery: 10, metrics: [] });
    expect(measuringNothing.map(({ type }) => type)).toEqual(['note', 'end']);
    expect(fake.trainers).toHaveLength(trainers);
  });
});

describe('checkpoints', () => {
  it('are written when asked for', async () => {
    let asked = 0;
    const ticks = await ticksOf({ checkpointEvery: 0 }, { checkpointWanted: () => asked++ === 0 });
    expect(asked).toBeGreaterThan(1);
    expect(await checkpoints()).toEqual(['step-000001.safetensors', 'step-000030.safetensors']);
    const wrote = ticks.flatMap((tick) => (tick.type === 'steps' ? tick.wrote : []));
    expect(wrote).toContain(join(options.out, 'checkpoints/step-000001.safetensors'));
  });

  it('that cannot be written become warnings, and the last one an error', async () => {
    const ticks: Tick[] = [];
    const run = (async () => {
      for await (const tick of train(options)) {
        ticks.push(tick);
        if (tick.type !== 'begin') continue;
        await rm(join(options.out, 'checkpoints'), { recursive: true });
        await writeFile(join(options.out, 'checkpoints'), 'in the way');
      }
    })();
    await expect(run).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringContaining('step-000030'),
    });
    expect(ticks).toContainEqual({
      type: 'note',
      level: 'warning',
      message: expect.stringMatching(/^cannot write .*; training goes on, a checkpoint will be tried again$/),
    });
    expect(ticks.at(-1)).toMatchObject({ type: 'steps', step: 30 });
    expect(await readdir(options.out)).not.toContain('run.lock');
  });

  it('that cannot be written at the end are told before pictures that cannot either', async () => {
    const run = (async () => {
      for await (const tick of train({ ...options, steps: 8, checkpointEvery: 0, sampleEvery: 0 })) {
        if (tick.type !== 'begin') continue;
        for (const name of ['checkpoints', 'samples']) {
          await rm(join(options.out, name), { recursive: true });
          await writeFile(join(options.out, name), 'in the way');
        }
      }
    })();
    await expect(run).rejects.toThrow(/step-000008\.safetensors/);
  });

  it('are kept by number and by multiples', () => {
    const steps = [10, 50, 20, 30, 40];
    expect(stepsToRemove(steps, { keepLast: 0, keepEvery: 0 })).toEqual([]);
    expect(stepsToRemove(steps, { keepLast: 9, keepEvery: 0 })).toEqual([]);
    expect(stepsToRemove(steps, { keepLast: 2, keepEvery: 0 })).toEqual([30, 20, 10]);
    expect(stepsToRemove(steps, { keepLast: 1, keepEvery: 20 })).toEqual([30, 10]);
  });
});
