import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { loadCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { main } from '../../../lib/cli/main.js';
import { NativeError } from '../../../lib/errors.js';
import { type DryRunOptions, dryRun } from '../../../lib/training/dry-run.js';
import { train } from '../../../lib/training/train.js';
import { fakeAddon } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

let fake: ReturnType<typeof fakeAddon>;
let folder: string;
let options: DryRunOptions;
beforeEach(async () => {
  fake = fakeAddon({ secondsPerStep: 0.5 });
  native.addon = fake.addon;
  folder = await temporaryFolder();
  await mkdir(join(folder, 'data'));
  const picture = sharp({ create: { width: 20, height: 20, channels: 3, background: '#123456' } }).png();
  for (const name of 'abcde') await picture.clone().toFile(join(folder, 'data', `${name}.png`));
  options = {
    data: join(folder, 'data'),
    imageSize: 16,
    baseWidth: 4,
    maxWidth: 8,
    batchSize: 2,
    steps: 100,
    penaltyWeight: 0,
  };
});

describe('dryRun', () => {
  it('takes a first step, measures three, writes nothing and frees its trainer', async () => {
    const plan = await dryRun(options);
    expect(plan).toMatchObject({
      images: 5,
      skipped: 0,
      batchSize: 2,
      stepsPerEpoch: 2,
      steps: 100,
      epochs: 50,
      from: 0,
      secondsPerStep: 0.5,
      imagesPerSecond: 4,
      seconds: 50,
    });
    expect(Math.abs(Date.parse(plan.end) - Date.now() - 50_000)).toBeLessThan(5000);
    expect(fake.trainers[0]?.chunks).toEqual([1, 3]);
    expect(fake.trainers[0]?.disposals).toBe(1);
    expect(await readdir(folder)).toEqual(['data']);
  });

  it('tells of a latent that came out large, as train() does', async () => {
    const notes: string[] = [];
    const onNote = ({ message }: { message: string }) => notes.push(message);
    await dryRun({ ...options, imageSize: 18 }, { onNote });
    expect(notes).toEqual([expect.stringContaining('each latent has 4×9×9 = 324 numbers')]);
    const wrong = { ...options, imageSize: 18, out: join(folder, 'run'), steps: 1 };
    for await (const tick of train(wrong)) if (tick.type === 'note') notes.push(tick.message);
    expect(notes[1]).toBe(notes[0]);
  });

  it('counts a gradient penalty that the measured steps miss', async () => {
    const { secondsPerStep, flops } = await dryRun({ ...options, penaltyWeight: 1, penaltyEvery: 10 });
    const plain = flops.forward + flops.backward;
    expect(secondsPerStep).toBeCloseTo(0.5 * (1 + flops.penalty / 10 / plain));
    const often = await dryRun({ ...options, penaltyWeight: 1, penaltyEvery: 1 });
    expect(often.secondsPerStep).toBeCloseTo(0.5);
  });

  it('minds the limits of images and minutes', async () => {
    expect(await dryRun({ ...options, maxImages: 9 })).toMatchObject({ steps: 5, seconds: 2.5 });
    expect(await dryRun({ ...options, maxMinutes: 0.25 })).toMatchObject({ steps: 100, seconds: 15 });
  });

  it('tells what is left of a run: behind its newest whole checkpoint, and of its minutes', async () => {
    const run = { ...options, out: join(folder, 'run'), steps: 30 };
    for await (const _ of train(run));
    await writeFile(join(run.out, 'checkpoints', 'step-000050.safetensors'), 'damaged');
    const { data, out } = run;
    const resumed = { data, out, resume: true, steps: 90 };
    expect(await dryRun(resumed)).toMatchObject({ batchSize: 2, from: 30, steps: 60, seconds: 30 });
    const { seconds } = await loadCheckpoint(out, fake.addon);
    const maxMinutes = (seconds + 20) / 60;
    expect((await dryRun({ ...resumed, maxMinutes })).seconds).toBeCloseTo(20);
    expect((await dryRun({ ...resumed, maxMinutes: seconds / 120 })).seconds).toBe(0);
  });

  it('refuses what the run that is continued would refuse', async () => {
    const run = { ...options, out: join(folder, 'run'), steps: 3 };
    for await (const _ of train(run));
    const resumed = { ...run, resume: true };
    await expect(dryRun({ ...resumed, batchSize: 4 })).rejects.toThrow(
      `batchSize = 4: the run in ${run.out} has batchSize = 2, which cannot change`,
    );
    await rm(join(folder, 'data', 'a.png'));
    await expect(dryRun(resumed)).rejects.toMatchObject({ code: 'ERR_SAN_DATA_CHANGED' });
  });

  it('on a GPU measures what is replayed, after the captures of both kinds of steps', async () => {
    const { info } = fake.addon;
    const devices = [{ name: 'a fake', capability: '9.0', bytes: 1e9 }];
    fake.addon.info = () => ({ ...info(), cuda: { built: true, driver: 13000, runtime: 13000, devices } });
    const { memory } = await dryRun({ ...options, device: 'cuda', penaltyWeight: 1, penaltyEvery: 4 });
    expect(fake.trainers[0]?.chunks).toEqual([13, 3]);
    expect(memory.measuredPeak).toBe(3e6);
  });

  it('says which settings to lower when memory runs out', async () => {
    const onStep = (step: number) => {
      if (step === 2) throw new NativeError('ERR_SAN_OUT_OF_MEMORY', 'out of memory');
    };
    native.addon = fakeAddon({ onStep }).addon;
    await expect(dryRun(options)).rejects.toMatchObject({
      code: 'ERR_SAN_OUT_OF_MEMORY',
      message: expect.stringMatching(/^out of memory in the steps of the dry run: lower batchSize \(now 2\)/),
    });
  });

  it('throws what training throws', async () => {
    await expect(dryRun({ ...options, batchSize: 6 })).rejects.toThrow(/batchSize = 6 .* 5;/);
    await expect(dryRun({ ...options, data: join(folder, 'none') })).rejects.toMatchObject({
      code: 'ERR_SAN_DATA_NOT_FOUND',
    });
    const reason = new Error('no more');
    await expect(dryRun(options, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('san-native train --dry-run', () => {
  async function printed(...flags: string[]): Promise<string> {
    let out = '';
    const spies = [
      vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
        out += text;
        return true;
      }),
      vi.spyOn(process.stderr, 'write').mockReturnValue(true),
    ];
    const size =
      '--image-size 16 --base-width 4 --max-width 8 --batch-size 2 --steps 1000000 --penalty-weight 0'.split(
        ' ',
      );
    const argv = [
      'train',
      join(folder, 'data'),
      '--out',
      join(folder, 'run'),
      '--dry-run',
      ...size,
      ...flags,
    ];
    try {
      expect(await main(argv)).toBe(0);
      return out;
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  }

  it('prints lines that align', async () => {
    const text = await printed();
    expect(text).toMatch(/^ {2}latent head +512 +0 +0 +512$/m);
    expect(text).toMatch(/^run +1,000,000 steps, 500,000 epochs$/m);
    expect(text).toMatch(/^speed +4\.00 images\/s, 0\.500 s a step$/m);
    expect(text).toMatch(/^time +5 days 18 h, until \d{4}-\d\d-\d\d \d\d:\d\d if it began now$/m);
    expect(await readdir(folder)).toEqual(['data']);
  });

  it('or one object', async () => {
    expect(JSON.parse(await printed('--json'))).toMatchObject({ steps: 1_000_000, imagesPerSecond: 4 });
  });
});
