import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { type ConfigInput, modelOptions } from '../../../lib/config/schema.js';
import { initialState } from '../../../lib/training/init-from.js';
import { type LogEvent, libtorchNotes } from '../../../lib/training/log.js';
import type { Tick } from '../../../lib/training/ticks.js';
import { type TrainControl, type TrainOptions, train } from '../../../lib/training/train.js';
import { fakeAddon, fakeParameters, progress, tensor } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

const SMALL = { imageSize: 16, baseWidth: 4, maxWidth: 8, batchSize: 2 };
let fake: ReturnType<typeof fakeAddon>;
let folder: string;
let options: TrainOptions & { out: string };
beforeEach(async () => {
  fake = fakeAddon();
  native.addon = fake.addon;
  folder = await temporaryFolder();
  const data = join(folder, 'data');
  await mkdir(data);
  const image = sharp({ create: { width: 8, height: 8, channels: 3, background: '#123456' } }).png();
  for (const name of ['a', 'b', 'c']) await image.clone().toFile(join(data, `${name}.png`));
  options = { data, out: join(folder, 'run'), ...SMALL, sampleCount: 4, steps: 8, logEvery: 4 };
});

/** A checkpoint with the value 7 in every parameter. */
async function source(changes: ConfigInput = {}, name = 'source.safetensors', value = 7): Promise<string> {
  const path = join(folder, name);
  const config = resolveConfig([{ source: '', values: { ...SMALL, ...changes } }]);
  const tensors = fakeParameters(modelOptions(config)).map((p) => tensor(p.name, p.shape, value));
  await saveCheckpoint(path, { config, step: 5, images: 10, ...progress, tensors });
  return path;
}

async function ticksOf(changes: Partial<TrainOptions> = {}, control: TrainControl = {}): Promise<Tick[]> {
  const ticks = [];
  for await (const tick of train({ ...options, ...changes }, control)) ticks.push(tick);
  return ticks;
}

/** Begins a run and leaves before its first checkpoint, as a kill would. */
async function brokenOff(changes: Partial<TrainOptions>): Promise<void> {
  for await (const tick of train({ ...options, ...changes })) if (tick.type === 'steps') break;
}

const record = async () => JSON.parse(await readFile(join(options.out, 'init.json'), 'utf8'));
/** First value of each tensor that the latest trainer began from. */
const began = () =>
  fake.trainerOptions
    .at(-1)
    ?.state?.tensors.map(({ name, data }) => [name, new Float32Array(data.buffer)[0]]);
const notes = (ticks: Tick[]) => ticks.flatMap((tick) => (tick.type === 'note' ? [tick.message] : []));

describe('initFrom', () => {
  it('begins from the parameters of a checkpoint and writes what it was', async () => {
    const initFrom = await source();
    const ticks = await ticksOf({ initFrom });
    expect(began()).toEqual([
      ['kernel.latent', 7],
      ['reverser.image.bias', 7],
    ]);
    expect(fake.trainerOptions.at(-1)?.state).toMatchObject({ step: 0, skipped: 0 });
    expect(fake.trainers).toHaveLength(1);
    expect(notes(ticks)).toEqual([`beginning from ${initFrom} (step 5): 2 of 2 parameters match`]);
    expect(await record()).toMatchObject({
      initFrom,
      checkpoint: initFrom,
      step: 5,
      matched: 2,
      mismatched: [],
    });
  });

  it('lists what does not match, which keeps the initial values of the seed', async () => {
    const initFrom = await source({ latentChannels: 7 });
    const ticks = await ticksOf({ initFrom, seed: 9 });
    expect(fake.trainerOptions[0]).toMatchObject({ seed: 9 });
    expect(fake.trainerOptions[0]).not.toHaveProperty('images');
    expect(fake.trainers[0]?.disposals).toBe(1);
    expect(began()).toEqual([
      ['kernel.latent', 0.5],
      ['reverser.image.bias', 7],
    ]);
    const shapes = (await record()).mismatched;
    expect(shapes).toEqual([{ name: 'kernel.latent', expected: [64, 8, 1, 1], found: [7, 8, 1, 1] }]);
    expect(notes(ticks)).toEqual([
      expect.stringContaining('1 of 2 parameters match'),
      'kernel.latent is [64, 8, 1, 1] here and [7, 8, 1, 1] in the checkpoint; it keeps its initial values',
    ]);
  });

  it('refuses weights of which none fit, and a source that is not there, and leaves no folder', async () => {
    const initFrom = await source({ baseWidth: 2, latentChannels: 7 });
    await expect(ticksOf({ initFrom })).rejects.toMatchObject({
      code: 'ERR_SAN_CHECKPOINT_MISMATCH',
      message: expect.stringMatching(/^no parameter of .* fits the model of this run \(kernel\.latent is /),
    });
    await expect(ticksOf({ initFrom: join(folder, 'none') })).rejects.toMatchObject({
      code: 'ERR_SAN_CHECKPOINT_NOT_FOUND',
    });
    await expect(ticksOf({ initFrom: '' })).rejects.toMatchObject({ code: 'ERR_SAN_CONFIG' });
    expect(await readdir(folder)).not.toContain('run');
  });

  it('holds for a run that was killed before its first checkpoint, and for a roll-back', async () => {
    const initFrom = await source();
    await brokenOff({ initFrom });
    await ticksOf({ resume: true, steps: 4 });
    expect(began()?.[0]).toEqual(['kernel.latent', 7]);
    const config = resolveConfig([{ source: '', values: SMALL }]);
    const start = { config, addon: fake.addon };
    const state = await initialState({ ...start, folder: { path: options.out } });
    expect(state?.tensors.map(({ name }) => name)).toEqual(['kernel.latent', 'reverser.image.bias']);
    expect(await initialState({ ...start, folder: { path: folder } })).toBeUndefined();
    // From its own checkpoint it needs the weights no more.
    await rm(initFrom);
    await ticksOf({ resume: true, initFrom, steps: 8 });
    expect(fake.trainerOptions.at(-1)?.state?.step).toBe(4);
  });

  it('says when the weights are gone or changed, and takes a copy of them', async () => {
    const initFrom = await source();
    await brokenOff({ initFrom });
    const copy = join(folder, 'copy.safetensors');
    await rename(initFrom, copy);
    await expect(ticksOf({ resume: true })).rejects.toMatchObject({
      code: 'ERR_SAN_CHECKPOINT_NOT_FOUND',
      message: expect.stringMatching(/began from .*, which is gone; name a copy of it with --init-from/),
    });
    await source({}, 'source.safetensors', 8);
    await expect(ticksOf({ resume: true })).rejects.toMatchObject({
      code: 'ERR_SAN_CHECKPOINT_MISMATCH',
      message: expect.stringMatching(/is not what the run in .* began from/),
    });
    await ticksOf({ resume: true, initFrom: copy });
    expect(began()?.[0]).toEqual(['kernel.latent', 7]);
  });

  it('cannot change in a run', async () => {
    const initFrom = await source();
    const other = await source({}, 'other.safetensors', 8);
    await ticksOf({ initFrom });
    await expect(ticksOf({ resume: true, initFrom: other, steps: 9 })).rejects.toMatchObject({
      code: 'ERR_SAN_CONFIG',
      message: expect.stringMatching(/^initFrom = ".*other.*": the run in .* began from .*source/),
    });
    await rm(options.out, { recursive: true });
    await mkdir(options.out);
    await writeFile(join(options.out, 'init.json'), 'of a run that was never begun');
    await ticksOf();
    expect(await readdir(options.out)).not.toContain('init.json');
    await expect(ticksOf({ resume: true, initFrom, steps: 9 })).rejects.toMatchObject({
      code: 'ERR_SAN_CONFIG',
      message: expect.stringContaining('did not begin from weights'),
    });
    await ticksOf({ resume: true, initFrom, out: join(folder, 'new') });
    expect(began()?.[0]).toEqual(['kernel.latent', 7]);
  });
});

describe('log', () => {
  it('is told notes and files', async () => {
    const events: LogEvent[] = [];
    await ticksOf({ resume: true, sampleEvery: 4 }, { log: (event) => events.push(event) });
    expect(events[0]).toEqual({
      level: 'info',
      message: `there is no run in ${options.out} yet; beginning one`,
    });
    expect(events).toContainEqual({
      level: 'debug',
      message: `wrote ${join(options.out, 'samples/000004.png')}`,
    });
    expect(libtorchNotes(['two\nlines '])).toEqual([
      { type: 'note', level: 'warning', message: 'LibTorch: two lines' },
    ]);
  });

  it('that throws ends training with its own error, and nothing is left running', async () => {
    const mine = new Error('mine');
    const log = ({ message }: LogEvent) => {
      if (message.includes('000004')) throw mine;
    };
    await expect(ticksOf({ sampleEvery: 4 }, { log })).rejects.toBe(mine);
    expect(fake.trainers.at(-1)?.disposals).toBe(1);
    expect(await readdir(options.out)).not.toContain('run.lock');
  });
});
