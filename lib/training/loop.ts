import type { Config } from '../config/schema.js';
import type { NativeTrainer } from '../native.js';
import { Artifacts } from './artifacts.js';
import { ChunkSizer } from './chunk-sizer.js';
import { meanLosses } from './loss-history.js';
import { LossLog } from './loss-log.js';
import type { RunFolder } from './run-folder.js';
import type { EndTick, StepsTick } from './ticks.js';

/** Weight of the latest chunk in the rate that is shown. */
const RATE_WEIGHT = 0.2;

export interface LoopOptions {
  trainer: NativeTrainer;
  config: Config;
  folder: RunFolder;
  signal?: AbortSignal | undefined;
}

/**
 * Takes the steps of a run, chunk by chunk, and writes samples, checkpoints, metrics and the loss curve on their
 * steps and at the end. An abort lets the step under way end and is then treated like the end of the run.
 */
export async function* trainingLoop(options: LoopOptions): AsyncGenerator<StepsTick | EndTick, void, void> {
  const { trainer, config, folder, signal } = options;
  const { steps, batchSize } = config;
  const log = new LossLog(folder, config);
  const artifacts = new Artifacts(trainer, config, folder);
  const sizer = new ChunkSizer();
  const interrupt = () => trainer.interrupt();
  signal?.addEventListener('abort', interrupt);
  try {
    const start = performance.now();
    const elapsed = () => (performance.now() - start) / 1000;
    let step = 0;
    let rate = 0;
    while (step < steps && !signal?.aborted) {
      const report = await trainer.run({ steps: sizer.next(toNextEvent(step, config)) });
      const done = report.losses.length;
      if (done === 0) continue;
      step = report.step;
      sizer.record(done, report.seconds);
      await log.record(report, elapsed(), steps);

      const wrote: string[] = [];
      if (isDue(step, config.checkpointEvery)) wrote.push(...(await artifacts.saveState(step)));
      if (isDue(step, config.sampleEvery)) {
        wrote.push(...(await artifacts.drawSamples(step)));
        wrote.push(...(await artifacts.drawLossCurve(log.history)));
      }
      const latest = (done * batchSize) / Math.max(report.seconds, 1e-9);
      rate = rate === 0 ? latest : rate + RATE_WEIGHT * (latest - rate);
      const seconds = elapsed();
      yield {
        type: 'steps',
        step,
        steps,
        images: step * batchSize,
        imagesPerSecond: rate,
        seconds,
        secondsLeft: (seconds / step) * (steps - step),
        losses: meanLosses(report.losses),
        wrote,
      };
    }
    if (step > 0) {
      await artifacts.saveState(step);
      await artifacts.drawLossCurve(log.history);
      await artifacts.drawSamples(step);
    }
    const { checkpoint, samples, lossCurve } = artifacts;
    yield {
      type: 'end',
      stopped: step < steps ? 'aborted' : 'finished',
      step,
      steps,
      images: step * batchSize,
      seconds: elapsed(),
      ...(checkpoint !== undefined && { checkpoint }),
      ...(samples !== undefined && { samples }),
      ...(lossCurve !== undefined && { lossCurve }),
    };
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}

const isDue = (step: number, every: number): boolean => every > 0 && step % every === 0;

/** Steps until something has to be written: a chunk never runs past that. */
function toNextEvent(step: number, { steps, sampleEvery, checkpointEvery }: Config): number {
  const left = [sampleEvery, checkpointEvery]
    .filter((every) => every > 0)
    .map((every) => every - (step % every));
  return Math.min(steps - step, ...left);
}
