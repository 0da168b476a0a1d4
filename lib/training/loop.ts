import type { LossSums } from '../checkpoint/checkpoint.js';
import type { Config } from '../config/schema.js';
import { OutputError } from '../errors.js';
import type { Addon, ImageBatch, NativeTrainer } from '../native.js';
import { Artifacts } from './artifacts.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { ChunkSizer } from './chunk-sizer.js';
import { meanLosses } from './loss-history.js';
import { LossLog } from './loss-log.js';
import { MetricsFile } from './metrics-file.js';
import type { RunFolder } from './run-folder.js';
import { EventWriter } from './tensorboard/event-writer.js';
import { scalarsOf } from './tensorboard/tags.js';
import type { EndTick, NoteTick, StepsTick } from './ticks.js';
import { Warnings } from './warnings.js';

/** Weight of the latest chunk in the rate that is shown. */
const RATE_WEIGHT = 0.2;

/** Where a run goes on that is continued. */
export interface StartingPoint {
  step: number;
  seconds: number;
  recent: LossSums;
  /** The checkpoint's path. */
  path: string;
  /** Newer files that could not be used. */
  damaged: readonly { path: string }[];
}

export interface LoopOptions {
  /** Its steps done are those of `from`. */
  trainer: NativeTrainer;
  addon: Pick<Addon, 'latents'>;
  config: Config;
  folder: RunFolder;
  dataHash: string;
  /** Real images to be reconstructed: ArtifactsOptions. */
  images: ImageBatch;
  from?: StartingPoint | undefined;
  signal?: AbortSignal | undefined;
  /** Asked after each chunk: whether to write a checkpoint now, besides those that are due. */
  checkpointWanted?: (() => boolean) | undefined;
}

/**
 * Takes the steps of a run, chunk by chunk, and writes samples, checkpoints, metrics and the loss curve on their
 * steps and at the end. An abort lets the step under way end and is then treated like the end of the run.
 *
 * All other files of a step are written before its checkpoint: who finds a checkpoint misses nothing of what led to it.
 */
export async function* trainingLoop(
  options: LoopOptions,
): AsyncGenerator<NoteTick | StepsTick | EndTick, void, void> {
  const { trainer, config, folder, dataHash, from, signal, checkpointWanted } = options;
  const { steps, batchSize } = config;
  const begun = from?.step ?? 0;
  const logged = begun - (from?.recent.steps ?? 0);
  const log = new LossLog(await MetricsFile.open(folder.metrics, logged), config, from?.recent);
  const events = await EventWriter.open(folder.tensorboard, { keepUpTo: begun });
  const artifacts = new Artifacts({ ...options, events });
  const damaged = from?.damaged.map(({ path }) => path);
  const checkpoints = new CheckpointWriter({
    trainer,
    config,
    folder,
    dataHash,
    latest: from?.path,
    damaged,
  });
  const warnings = new Warnings();
  const written = (): string[] => {
    const { wrote, failures } = checkpoints.results();
    for (const error of failures) warnings.add('a checkpoint', error);
    return wrote;
  };
  const sizer = new ChunkSizer();
  const interrupt = () => trainer.interrupt();
  signal?.addEventListener('abort', interrupt);
  try {
    const start = performance.now();
    const elapsed = () => (performance.now() - start) / 1000;
    const seconds = () => (from?.seconds ?? 0) + elapsed();
    const draw = (step: number, imagesPerSecond: number, stopped?: 'aborted' | 'finished') =>
      artifacts.draw({
        step,
        history: log.history,
        metrics: [],
        seconds: seconds(),
        imagesPerSecond,
        skipped: 0,
        warnings: [],
        stopped,
      });
    const progress = () => ({ seconds: seconds(), recent: log.recent });
    let step = begun;
    let rate = 0;
    while (step < steps && !signal?.aborted) {
      const report = await trainer.run({ steps: sizer.next(toNextEvent(step, config)) });
      const done = report.losses.length;
      if (done === 0) continue;
      step = report.step;
      sizer.record(done, report.seconds);
      const failure = log.record(report, seconds(), steps);
      for (const line of log.due) events.scalars(line.step, scalarsOf(line));
      await warnings.tolerate('metrics', () => log.flush());
      if (failure) throw failure;

      const wrote: string[] = [];
      if (isDue(step, config.sampleEvery)) {
        await warnings.tolerate('pictures', async () => wrote.push(...(await draw(step, rate))));
      }
      await warnings.tolerate('TensorBoard events', () => events.flush());
      const wanted = checkpointWanted?.() ?? false;
      if (wanted || (isDue(step, config.checkpointEvery) && step < steps)) {
        await checkpoints.begin(step, progress());
      }
      wrote.push(...written());
      yield* warnings.take();

      const latest = (done * batchSize) / Math.max(report.seconds, 1e-9);
      rate = rate === 0 ? latest : rate + RATE_WEIGHT * (latest - rate);
      yield {
        type: 'steps',
        step,
        steps,
        images: step * batchSize,
        imagesPerSecond: rate,
        seconds: seconds(),
        secondsLeft: (elapsed() / (step - begun)) * (steps - step),
        secondsPerKimg: 1000 / Math.max(rate, 1e-9),
        losses: meanLosses(report.losses),
        smoothed: meanLosses(report.losses),
        metrics: {},
        skipped: 0,
        learningRate: config.learningRate,
        memory: process.memoryUsage.rss(),
        wrote,
      };
    }
    if (step > begun) {
      const save = async () => {
        await checkpoints.settled();
        written();
        await checkpoints.begin(step, progress());
        await checkpoints.settled();
        for (const error of checkpoints.results().failures) throw error;
      };
      const stopped = step < steps ? 'aborted' : 'finished';
      const lines = () => log.flush();
      const pictures = () => draw(step, rate, stopped).finally(() => events.close());
      // Who stops a run may not have time for pictures.
      await attemptAll(step < steps ? [save, lines, pictures] : [lines, pictures, save]);
      yield* warnings.take();
    }
    const { samples, lossCurve, report } = artifacts;
    yield {
      type: 'end',
      stopped: step < steps ? 'aborted' : 'finished',
      step,
      steps,
      images: step * batchSize,
      seconds: seconds(),
      ...(checkpoints.latest !== undefined && { checkpoint: checkpoints.latest }),
      ...(samples !== undefined && { samples }),
      ...(lossCurve !== undefined && { lossCurve }),
      ...(report !== undefined && { report }),
    };
  } finally {
    signal?.removeEventListener('abort', interrupt);
    await checkpoints.settled();
  }
}

/** One that cannot be written does not keep the others from it; the first failure is thrown in the end. */
async function attemptAll(operations: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: OutputError[] = [];
  for (const operation of operations) {
    await operation().catch((error: unknown) => {
      if (!(error instanceof OutputError)) throw error;
      failures.push(error);
    });
  }
  if (failures[0]) throw failures[0];
}

const isDue = (step: number, every: number): boolean => every > 0 && step % every === 0;

/** Steps until something has to be written: a chunk never runs past that. */
function toNextEvent(step: number, { steps, sampleEvery, checkpointEvery }: Config): number {
  const left = [sampleEvery, checkpointEvery]
    .filter((every) => every > 0)
    .map((every) => every - (step % every));
  return Math.min(steps - step, ...left);
}
