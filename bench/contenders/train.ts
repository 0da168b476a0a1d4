/** Our train(), as a program would call it: reading files, schedules, metrics.jsonl and all. */
import { performance } from 'node:perf_hooks';
import { resolveConfig } from '../../lib/config/resolve.js';
import { type Device, loadAddon } from '../../lib/native.js';
import { stepsUntilCaptured } from '../../lib/training/captured-steps.js';
import { type TrainOptions, train } from '../../lib/training/train.js';
import { peakOn } from '../device-memory.js';
import { NOTE } from '../process.js';
import type { OpenContender } from '../worker.js';

/** @param options of train(), with the device resolved */
export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const device = options.device as Device;
  const native = watchNative();
  const ticks = train(options as unknown as TrainOptions);
  const nextSteps = async () => {
    for (;;) {
      const { value, done } = await ticks.next();
      if (done || value.type === 'end') throw new Error('training ended before the rounds did');
      if (value.type === 'steps') return value;
      // Such as that steps run without a CUDA graph.
      if (value.type === 'note' && value.level === 'warning')
        process.stderr.write(`${NOTE}${value.message}\n`);
    }
  };
  const { data: _data, out: _out, initFrom: _from, ...values } = options;
  // A GPU captures its steps one kind after another; rounds are of steps that it replays.
  const first = device === 'cpu' ? 1 : stepsUntilCaptured(resolveConfig([{ source: '', values }]));
  let { images, step } = await nextSteps();
  while (step < first) ({ images, step } = await nextSteps());
  return {
    facts: { libtorch: loadAddon().info().libtorch },
    async round(items) {
      const begin = performance.now();
      const loop = performance.eventLoopUtilization();
      const nativeBefore = native.seconds();
      const before = images;
      while (images - before < items) images = (await nextSteps()).images;
      const seconds = (performance.now() - begin) / 1000;
      const { active } = performance.eventLoopUtilization(loop);
      const outside = seconds - (native.seconds() - nativeBefore);
      return {
        seconds,
        items: images - before,
        ...(await peakOn(device)),
        notes: {
          'percent of the time in which no step was under way': (100 * outside) / seconds,
          'percent of the time in which JavaScript ran': active / (10 * seconds),
        },
      };
    },
    async close() {
      await ticks.return();
    },
  };
}

/** Sums up the time that the native half says its steps took. */
function watchNative() {
  const addon = loadAddon();
  const { createTrainer } = addon;
  let seconds = 0;
  addon.createTrainer = async (options) => {
    const trainer = await createTrainer(options);
    const run = trainer.run.bind(trainer);
    // The addon's own property is read-only.
    return Object.defineProperty(trainer, 'run', {
      value: async (steps: Parameters<typeof run>[0]) => {
        const report = await run(steps);
        seconds += report.seconds;
        return report;
      },
    });
  };
  return { seconds: () => seconds };
}
