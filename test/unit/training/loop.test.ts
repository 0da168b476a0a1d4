import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { loadCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { type ConfigInput, modelOptions } from '../../../lib/config/schema.js';
import { NativeError } from '../../../lib/errors.js';
import type { MetricValues } from '../../../lib/metrics/sampler.js';
import { trainingLoop } from '../../../lib/training/loop.js';
import { lossesFrom } from '../../../lib/training/loss-history.js';
import { RunFolder } from '../../../lib/training/run-folder.js';
import type { EndTick, NoteTick, StepsTick } from '../../../lib/training/ticks.js';
import {
  FakeTrainer,
  type FakeTrainerSettings,
  fakeAddon,
  fakeImages,
  someLosses,
} from '../support/fake-addon.js';
import { temporaryFolder } from '../support/temporary.js';

async function setUp(
  values: ConfigInput,
  settings: FakeTrainerSettings = {},
  signal?: AbortSignal,
  metricsAt: (step: number) => MetricValues | Promise<MetricValues> = () => ({}),
) {
  const path = join(await temporaryFolder(), 'run');
  const config = resolveConfig([
    {
      source: '',
      values: { imageSize: 16, baseWidth: 4, maxWidth: 8, sampleCount: 4, batchSize: 2, ...values },
    },
  ]);
  const folder = await RunFolder.claim(path);
  await folder.begin(config, []);
  const trainer = new FakeTrainer(modelOptions(config), settings);
  const { addon } = fakeAddon();
  const images = fakeImages(modelOptions(config), { seed: 0, count: 3 });
  const evaluator = { evaluate: async () => metricsAt(trainer.done), dispose: async () => {} };
  const run = { trainer, addon, evaluator, config, folder, images, dataHash: 'abc', signal };
  const loop = trainingLoop(run);
  return { path, trainer, loop };
}

async function collect(loop: AsyncIterable<NoteTick | StepsTick | EndTick>) {
  const [steps, notes]: [StepsTick[], NoteTick[]] = [[], []];
  let end: EndTick | undefined;
  for await (const tick of loop) {
    if (tick.type === 'steps') steps.push(tick);
    else if (tick.type === 'note') notes.push(tick);
    else end = tick;
  }
  return { steps, notes, end: end as EndTick };
}

async function metrics(path: string): Promise<Record<string, number>[]> {
  const text = await readFile(join(path, 'metrics.jsonl'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const files = (path: string, folder: string) => readdir(join(path, folder)).then((names) => names.sort());

describe('trainingLoop', () => {
  it('takes all steps in growing chunks that end where something is due', async () => {
    const { trainer, loop, path } = await setUp(
      { steps: 50, sampleEvery: 20, checkpointEvery: 25 },
      { secondsPerStep: 0.02 },
    );
    const { steps, end } = await collect(loop);
    expect(trainer.chunks).toEqual([1, 2, 4, 8, 5, 5, 10, 5, 10]);
    expect(steps.map(({ step }) => step)).toEqual([1, 3, 7, 15, 20, 25, 35, 40, 50]);
    const kinds = ['', 'interpolation-', 'reconstructions-'];
    expect(await files(path, 'samples')).toEqual(
      kinds.flatMap((kind) => ['20', '40', '50'].map((step) => `${kind}0000${step}.png`)),
    );
    expect(await files(path, 'checkpoints')).toEqual(['step-000025.safetensors', 'step-000050.safetensors']);
    expect(end).toMatchObject({
      type: 'end',
      stopped: 'finished',
      step: 50,
      images: 100,
      checkpoint: join(path, 'checkpoints/step-000050.safetensors'),
      samples: join(path, 'samples/000050.png'),
      lossCurve: join(path, 'losses.svg'),
      report: join(path, 'report.html'),
      wrote: [
        'samples/000050.png',
        'samples/reconstructions-000050.png',
        'samples/interpolation-000050.png',
        'losses.svg',
        'report.html',
        'checkpoints/step-000050.safetensors',
      ].map((name) => join(path, name)),
    });
  });

  it('tells in each tick how far it is and what it wrote', async () => {
    const { loop, path } = await setUp(
      { steps: 6, sampleEvery: 2, checkpointEvery: 0 },
      { secondsPerStep: 0.5, lossesAt: someLosses },
    );
    const { steps } = await collect(loop);
    expect(steps[1]).toMatchObject({
      type: 'steps',
      step: 2,
      steps: 6,
      images: 4,
      imagesPerSecond: 4,
      // The second step has no gradient penalty.
      losses: lossesFrom((name) => (name === 'gp' ? undefined : someLosses(2)[name])),
      wrote: [
        'samples/000002.png',
        'samples/reconstructions-000002.png',
        'samples/interpolation-000002.png',
        'losses.svg',
        'report.html',
      ].map((name) => join(path, name)),
    });
    expect(steps.every(({ seconds, secondsLeft }) => seconds >= 0 && secondsLeft >= 0)).toBe(true);
    expect(steps.at(-1)?.secondsLeft).toBe(0);
    // By the seconds that steps are said to take.
    expect(steps[1]?.secondsLeft).toBeCloseTo(4 * 0.5, 6);
  });

  it('writes metrics that do not depend on how the steps fell into chunks', async () => {
    const values = { steps: 25, logEvery: 10, sampleEvery: 0, checkpointEvery: 0 };
    const untimed: object[] = [];
    for (const secondsPerStep of [0.001, 0.05, 1]) {
      const { loop, path } = await setUp(values, { secondsPerStep, lossesAt: someLosses });
      await collect(loop);
      untimed.push((await metrics(path)).map((line) => ({ ...line, seconds: 0 })));
    }
    expect(untimed[0]).toEqual([
      { step: 10, images: 20, seconds: 0, learningRate: 0.001, ...someLosses(5.5), lrx: 1.83333 },
      { step: 20, images: 40, seconds: 0, learningRate: 0.001, ...someLosses(15.5), lrx: 5.16667 },
      { step: 25, images: 50, seconds: 0, learningRate: 0.001, ...someLosses(23), lrx: 7.66667 },
    ]);
    expect(untimed[1]).toEqual(untimed[0]);
    expect(untimed[2]).toEqual(untimed[0]);
  });

  it('gives the gradient penalty as its mean over the steps that have it', async () => {
    const lossesAt = (step: number) => ({ ...someLosses(), gp: step % 4 === 1 ? step : 0 });
    const values = { steps: 12, penaltyEvery: 4, sampleEvery: 0, checkpointEvery: 0 };
    const { loop, path } = await setUp({ ...values, logEvery: 2 }, { lossesAt, secondsPerStep: 10 });
    const { steps } = await collect(loop);
    expect((await metrics(path)).map(({ step, gp }) => [step, gp])).toEqual([
      [2, 1],
      [4, undefined],
      [6, 5],
      [8, undefined],
      [10, 9],
      [12, undefined],
    ]);
    expect(steps.map(({ step, losses }) => [step, losses.gp]).slice(0, 5)).toEqual([
      [1, 1],
      [2, undefined],
      [3, undefined],
      [4, undefined],
      [5, 5],
    ]);
    for (const { smoothed } of steps.slice(0, 4)) expect(smoothed.gp).toBe(1);
    expect(steps[4]?.smoothed.gp).toBeGreaterThan(2.9);
    const coarse = await setUp({ ...values, logEvery: 10 }, { lossesAt });
    await collect(coarse.loop);
    expect((await metrics(coarse.path)).map(({ gp }) => gp)).toEqual([5, undefined]);
    const without = await setUp({ ...values, penaltyWeight: 0 }, { lossesAt });
    const never = await collect(without.loop);
    expect(never.steps.some(({ losses, smoothed }) => 'gp' in losses || 'gp' in smoothed)).toBe(false);
  });

  it('on abort ends after the step under way, with a checkpoint', async () => {
    const controller = new AbortController();
    const onStep = (step: number) => {
      if (step === 10) controller.abort();
    };
    const { loop, path, trainer } = await setUp({ steps: 1000 }, { onStep }, controller.signal);
    const { end } = await collect(loop);
    expect(end).toMatchObject({ stopped: 'aborted', step: 10, steps: 1000 });
    const checkpoint = await loadCheckpoint(path, fakeAddon().addon);
    expect(checkpoint).toMatchObject({ step: 10, images: 20, path: end.checkpoint });
    expect(trainer.chunks.reduce((a, b) => a + b)).toBeGreaterThan(10);
  });

  it.each([
    ['before its pictures when it is aborted', true],
    ['after its pictures otherwise', false],
  ])('saves %s', async (_, aborts) => {
    const controller = new AbortController();
    const onStep = (step: number) => {
      if (aborts && step === 10) controller.abort();
    };
    const values = { steps: 10 + (aborts ? 10 : 0), sampleEvery: 0, checkpointEvery: 0 };
    const { loop, path, trainer } = await setUp(values, { onStep }, controller.signal);
    const generate = trainer.generate.bind(trainer);
    const saved: boolean[] = [];
    trainer.generate = async (options) => {
      saved.push((await files(path, 'checkpoints')).length > 0);
      return generate(options);
    };
    expect((await collect(loop)).end).toMatchObject({ step: 10 });
    expect(saved).toEqual([aborts]);
  });

  it('aborted before its first step leaves no checkpoint', async () => {
    const { loop, path, trainer } = await setUp({ steps: 10 }, {}, AbortSignal.abort());
    const { steps, end } = await collect(loop);
    expect(steps).toEqual([]);
    expect(end).toMatchObject({ stopped: 'aborted', step: 0 });
    expect(end).not.toHaveProperty('checkpoint');
    expect(trainer.chunks).toEqual([]);
    expect(await files(path, 'checkpoints')).toEqual([]);
  });

  it('skips a step that is not finite, counts it and goes on', async () => {
    const lossesAt = (step: number) => ({ ...someLosses(), lrx: step === 13 ? Number.NaN : 1 });
    const { loop, path } = await setUp({ steps: 20, logEvery: 10, checkpointEvery: 0 }, { lossesAt });
    const { steps, notes, end } = await collect(loop);
    expect(end.stopped).toBe('finished');
    expect(steps.at(-1)?.skipped).toBe(1);
    expect(notes.map(({ message }) => message)).toEqual([
      'step 13 was skipped: loss lrx was not finite; 1 skipped so far',
    ]);
    const lines = await metrics(path);
    expect(lines.map(({ step, lrx, skipped }) => [step, lrx, skipped])).toEqual([
      [10, 1, undefined],
      [20, 1, 1],
    ]);
  });

  it.each([
    [30, 'step 30, .*step-000030.safetensors,'],
    [0, 'the beginning'],
  ])('with checkpoints every %d goes back after three bad steps, to %s', async (checkpointEvery, to) => {
    const visits = new Map<number, number>();
    const lossesAt = (step: number) => {
      visits.set(step, (visits.get(step) ?? 0) + 1);
      const bad = step >= 43 && step <= 45 && visits.get(step) === 1;
      return { ...someLosses(), lrx: bad ? Number.NaN : 1 };
    };
    const { loop, path } = await setUp(
      { steps: 60, logEvery: 10, checkpointEvery, sampleEvery: 0 },
      { lossesAt },
    );
    const { notes, end } = await collect(loop);
    expect(end.stopped).toBe('finished');
    expect(notes.at(-1)?.message).toMatch(
      new RegExp(
        `^loss lrx was not finite.* up to step 45 were skipped; went back to ${to} with the learning rate`,
      ),
    );
    const before = checkpointEvery;
    const lines = await metrics(path);
    expect(lines.map(({ step, learningRate, skipped }) => [step, learningRate, skipped])).toEqual(
      [10, 20, 30, 40, 50, 60].map((step) => [step, step <= before ? 0.001 : 0.0005, undefined]),
    );
    const { guard, skipped } = await loadCheckpoint(path, fakeAddon().addon);
    // Nothing was saved since it got past the failure but this one.
    expect(guard).toEqual({ inRow: 0, learningRateScale: 0.5, failedAt: 45 });
    expect(skipped).toBe(0);
  });

  it('ends when it fails again right after it went back, naming what and where; checkpoints stay', async () => {
    const lossesAt = (step: number) => ({ ...someLosses(), lrx: step >= 43 ? Number.NaN : 1 });
    const { loop, path } = await setUp({ steps: 100, checkpointEvery: 30, sampleEvery: 0 }, { lossesAt });
    await expect(collect(loop)).rejects.toMatchObject({
      code: 'ERR_SAN_NON_FINITE',
      message: expect.stringMatching(/^loss lrx was not finite in 3 steps in a row up to step 45, and again/),
      details: { field: 'loss lrx' },
    });
    expect(await files(path, 'checkpoints')).toEqual(['step-000030.safetensors']);
    expect((await metrics(path)).at(-1)?.step).toBe(40);
  });

  it('may go back again for a later failure', async () => {
    const visits = new Map<number, number>();
    const lossesAt = (step: number) => {
      visits.set(step, (visits.get(step) ?? 0) + 1);
      const bad = [13, 14, 15, 33, 34, 35].includes(step) && visits.get(step) === 1;
      return { ...someLosses(), lrx: bad ? Number.NaN : 1 };
    };
    const { loop, path } = await setUp(
      { steps: 50, logEvery: 10, checkpointEvery: 10, sampleEvery: 0 },
      { lossesAt },
    );
    await collect(loop);
    expect((await metrics(path)).map(({ learningRate }) => learningRate)).toEqual([
      0.001, 0.0005, 0.0005, 0.00025, 0.00025,
    ]);
    expect((await loadCheckpoint(path, fakeAddon().addon)).guard.failedAt).toBe(0);
  });

  it('saves nothing in the midst of bad steps', async () => {
    const lossesAt = (step: number) => ({ ...someLosses(), lrx: [10, 11].includes(step) ? Number.NaN : 1 });
    const { loop, path } = await setUp(
      { steps: 30, checkpointEvery: 10, sampleEvery: 0 },
      { lossesAt, secondsPerStep: 1 },
    );
    await collect(loop);
    expect(await files(path, 'checkpoints')).toEqual([
      'step-000012.safetensors',
      'step-000020.safetensors',
      'step-000030.safetensors',
    ]);
  });

  it('says which settings to lower when memory runs out', async () => {
    const onStep = (step: number) => {
      if (step === 4) throw new NativeError('ERR_SAN_OUT_OF_MEMORY', 'out of memory');
    };
    const { loop } = await setUp({ steps: 10 }, { onStep, secondsPerStep: 1 });
    await expect(collect(loop)).rejects.toMatchObject({
      code: 'ERR_SAN_OUT_OF_MEMORY',
      message: expect.stringMatching(
        /^out of memory after step 3: lower batchSize \(now 2\), or imageSize \(16\)/,
      ),
    });
  });

  it('ends with the step that reaches maxImages, whatever the chunks', async () => {
    const { loop, trainer } = await setUp({ steps: 100, maxImages: 25 });
    const { end, steps } = await collect(loop);
    expect(end).toMatchObject({ stopped: 'images', step: 13, images: 26, steps: 100 });
    expect(end.reason).toMatch(/maxImages = 25/);
    expect(steps.at(-1)?.secondsLeft).toBe(0);
    expect(trainer.chunks.reduce((a, b) => a + b)).toBe(13);
  });

  it('tells no more time to be left than maxMinutes leaves', async () => {
    const { loop } = await setUp({ steps: 100, maxMinutes: 1 }, { secondsPerStep: 10 });
    const { steps } = await collect(loop);
    const lefts = steps.map(({ seconds, secondsLeft }) => secondsLeft + seconds);
    expect(lefts[0]).toBeGreaterThan(59.9);
    expect(lefts[0]).toBeLessThanOrEqual(60);
    expect(steps.at(-1)?.secondsLeft).toBe(0);
  });

  it.each([0.001, 0.1])('ends where all targets hold, at %d s a step', async (secondsPerStep) => {
    const { loop } = await setUp(
      { steps: 100, logEvery: 5, targets: ['lgd<0.5', 'llz>0.1'] },
      { secondsPerStep, lossesAt: (step) => someLosses(10 / step) },
    );
    const { end } = await collect(loop);
    expect(end).toMatchObject({ stopped: 'targets', step: 25 });
    expect(end.reason).toMatch(/lgd<0.5 \(now 0\.43/);
    expect(end.checkpoint).toMatch(/step-000025/);
  });

  it('measures the metrics when due and at the end, keeps the best checkpoint and says which', async () => {
    const { loop, path } = await setUp(
      {
        steps: 50,
        logEvery: 10,
        metricEvery: 10,
        checkpointEvery: 10,
        keepLast: 1,
        keepBest: 'swd',
        sampleEvery: 0,
      },
      {},
      undefined,
      (step) => ({ swd: (step - 20) ** 2, reconstruction: 0.5 }),
    );
    const { steps, end } = await collect(loop);
    expect(end).toMatchObject({
      metrics: { swd: 900, reconstruction: 0.5 },
      best: join(path, 'checkpoints/step-000020.safetensors'),
    });
    const measured = (await metrics(path)).filter((line) => 'swd' in line);
    expect(measured.map(({ step, swd }) => [step, swd])).toEqual([
      [10, 100],
      [20, 0],
      [30, 100],
      [40, 400],
      [50, 900],
    ]);
    expect(steps.find(({ step }) => step === 20)?.metrics).toEqual({ swd: 0, reconstruction: 0.5 });
    expect(await files(path, 'checkpoints')).toEqual(['step-000020.safetensors', 'step-000050.safetensors']);
    expect(JSON.parse(await readFile(join(path, 'best.json'), 'utf8'))).toEqual({
      step: 20,
      value: 0,
      name: 'swd',
      checkpoint: 'checkpoints/step-000020.safetensors',
    });
  });

  it('takes an evaluation at the end for the checkpoint that was written before it', async () => {
    const { loop, path } = await setUp(
      {
        steps: 100,
        logEvery: 10,
        metricEvery: 40,
        checkpointEvery: 10,
        keepBest: 'swd',
        sampleEvery: 0,
        targets: ['lgd<0.5'],
      },
      { lossesAt: (step) => someLosses(step > 20 ? 0.1 : 1) },
      undefined,
      async (step) => {
        // Takes longer than to write what was begun before it.
        await delay(1000);
        return { swd: step };
      },
    );
    const { end } = await collect(loop);
    const name = 'checkpoints/step-000030.safetensors';
    expect(end).toMatchObject({ stopped: 'targets', step: 30, metrics: { swd: 30 } });
    expect(end.best).toBe(join(path, name));
    const best = JSON.parse(await readFile(join(path, 'best.json'), 'utf8'));
    expect(best).toEqual({ step: 30, value: 30, name: 'swd', checkpoint: name });
  });

  it('writes no checkpoint of tensors that are not finite', async () => {
    const { loop, path, trainer } = await setUp({ steps: 20, checkpointEvery: 10 });
    const failed = (async () => {
      for await (const tick of loop)
        if (tick.type === 'steps' && tick.step >= 10) trainer.weights = Number.POSITIVE_INFINITY;
    })();
    await expect(failed).rejects.toMatchObject({
      code: 'ERR_SAN_NON_FINITE',
      message: expect.stringMatching(/^tensor kernel\.latent .* step 20;/),
    });
    expect(await files(path, 'checkpoints')).toEqual(['step-000010.safetensors']);
  });
});

describe('RunFolder', () => {
  it('refuses a folder that holds a run, and takes one that does not', async () => {
    const folder = await temporaryFolder();
    const run = await RunFolder.claim(folder);
    await run.begin(resolveConfig([]), [{ path: 'a.txt', reason: 'no image' }]);
    expect(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))).toMatchObject({ imageSize: 32 });
    expect(await readFile(join(folder, 'skipped.jsonl'), 'utf8')).toBe(
      '{"path":"a.txt","reason":"no image"}\n',
    );
    await expect(RunFolder.claim(folder)).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: `${folder} already holds a training run; add --resume (in the API resume: true) to continue it, or choose another folder`,
    });
    await mkdir(join(folder, 'other'));
    await expect(RunFolder.claim(join(folder, 'other'))).resolves.toBeInstanceOf(RunFolder);
    await expect(RunFolder.claim(join(folder, 'new/one'))).resolves.toBeInstanceOf(RunFolder);
  });

  it.each(['config.json', 'config.json/run'])('refuses %s, a file', async (name) => {
    const folder = await temporaryFolder();
    await (await RunFolder.claim(folder)).begin(resolveConfig([]), []);
    await expect(RunFolder.claim(join(folder, name))).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
  });
});
