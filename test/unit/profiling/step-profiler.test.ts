import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NativeTrainer, StepReport, StepSchedule } from '../../../lib/native.js';
import type { Profile } from '../../../lib/profiling/profile.js';
import { StepProfiler } from '../../../lib/profiling/step-profiler.js';
import { recorded } from './support.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'san-native-profile-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const losses = { lgd: 0, lgi: 0, lrz: 0, lrx: 0, llz: 0, gp: 0 };

/** A trainer that notes its calls among those of the addon; `limit` interrupts it after so many steps. */
function setUp(path: string, limit = Number.POSITIVE_INFINITY, warmUp = 3) {
  const calls: (string | number)[] = [];
  const rates: number[] = [];
  const profiles: Profile[] = [];
  let step = 0;
  const trainer = {
    run: async ({ steps, schedule }: { steps: number; schedule?: StepSchedule }): Promise<StepReport> => {
      const done = Math.min(steps, limit - step);
      calls.push(done);
      rates.push(...(schedule?.learningRate ?? []));
      step += done;
      return {
        step,
        losses: Array(done).fill(losses),
        skipped: [],
        seconds: done,
        warnings: [],
        stopRequested: false,
        checkpointRequested: false,
      };
    },
  } as unknown as NativeTrainer;
  const addon = {
    startProfile: async () => {
      calls.push('start');
    },
    stopProfile: async () => {
      calls.push('stop');
      return recorded([['conv', 'generator.m0', 0, 2e6]]);
    },
    measurePeak: async () => ({ matmul: 4e9, convolution: 2e9, copy: 8e9 }),
  };
  const onProfile = (profile: Profile) => profiles.push(profile);
  const profiler = new StepProfiler({
    addon,
    path,
    flops: 1e8,
    threads: 1,
    device: 'cpu',
    precision: 'fp32',
    warmUp,
    onProfile,
  });
  profiler.watch(trainer);
  return { trainer, profiler, calls, rates, profiles };
}

test('records steps 4 to 13, whatever the chunks, and changes nothing else', async () => {
  const path = join(folder, 'trace.json');
  const { trainer, profiler, calls, rates, profiles } = setUp(path);
  const learningRate = Float64Array.from({ length: 20 }, (_, i) => i);
  const schedule = {
    learningRate,
    lambda: learningRate,
    emaDecay: learningRate,
    repulsionWeight: learningRate,
  };
  const first = await trainer.run({ steps: 2 });
  const second = await trainer.run({ steps: 20, schedule });
  expect(calls).toEqual([2, 1, 'start', 10, 'stop', 9]);
  expect(rates).toEqual([...learningRate]);
  expect([first.losses.length, second.losses.length, second.step, second.seconds]).toEqual([2, 20, 22, 20]);
  expect(profiler.notes().map(({ level, message }) => [level, message])).toEqual([
    ['info', `profile of steps 4 to 13 in ${path}`],
  ]);
  expect(profiles[0]).toMatchObject({ what: 'steps 4 to 13', arithmetic: { flops: 1e9, rate: 5e8 } });
  const trace = JSON.parse(await readFile(path, 'utf8'));
  expect(trace.traceEvents.at(-1)).toMatchObject({
    ph: 'X',
    name: 'conv',
    ts: 0,
    dur: 2e6,
    args: { part: 'generator.m0' },
  });
  expect(trace.otherData.what).toBe('steps 4 to 13');
});

test('begins after the steps that a GPU needs to be ready', async () => {
  const path = join(folder, 'trace.json');
  const { trainer, calls, profiles } = setUp(path, 40, 13);
  await trainer.run({ steps: 40 });
  expect(calls).toEqual([13, 'start', 10, 'stop', 17]);
  expect(profiles[0]?.what).toBe('steps 14 to 23');
});

test('a run that is too short says so and leaves no file', async () => {
  const path = join(folder, 'trace.json');
  const { trainer, profiler, calls } = setUp(path, 5);
  const report = await trainer.run({ steps: 20 });
  expect(report.losses).toHaveLength(5);
  const notes = await profiler.end();
  expect(calls).toEqual([3, 'start', 2, 'stop']);
  expect(notes).toEqual([
    { type: 'note', level: 'warning', message: 'no profile: that takes 13 steps, and 5 were taken' },
  ]);
  await expect(readFile(path)).rejects.toThrow('ENOENT');
});

test('a file that cannot be written does not end training', async () => {
  const { trainer, profiler } = setUp(join(folder, 'missing', 'trace.json'));
  const report = await trainer.run({ steps: 13 });
  expect(report.losses).toHaveLength(13);
  expect(profiler.notes()).toEqual([
    { type: 'note', level: 'warning', message: expect.stringMatching(/^no profile: .*missing/) },
  ]);
});

test('a run that is interrupted before the first step to record leaves nothing recording', async () => {
  const { trainer, profiler, calls } = setUp(join(folder, 'trace.json'), 3);
  await trainer.run({ steps: 20 });
  expect(calls).toEqual([3, 'start', 0]);
  await profiler.end();
  await profiler.stop();
  expect(calls).toEqual([3, 'start', 0, 'stop']);
});
