/** From settings and data to a trainer that is ready for its first step, in a folder that is the run's own. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LoadedCheckpoint } from '../checkpoint/checkpoint.js';
import { type ConfigLayer, resolveConfig } from '../config/resolve.js';
import { type Config, lossOptions, modelOptions, optimizerOptions } from '../config/schema.js';
import { type LoadedImages, loadImages } from '../data/dataset.js';
import { ConfigError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { encodeGrid, spread } from '../generation/grid.js';
import { type Addon, loadAddon } from '../native.js';
import type { LoopOptions } from './loop.js';
import { findRun, requireSameData } from './resume.js';
import { RunFolder } from './run-folder.js';
import type { EndTick, LoadTick, Tick } from './ticks.js';

/** Milliseconds between two ticks while images are read. */
const LOAD_TICK = 200;

export interface Plan {
  data: string;
  layers: readonly ConfigLayer[];
  control: { signal?: AbortSignal | undefined };
  /** Keeps other runs out of the folder, which must exist by then. */
  lock(): Promise<void>;
}

/** Yields the ticks until training begins; gives what the training loop needs, or undefined when all is said. */
type Preparation = AsyncGenerator<Tick, LoopOptions | undefined, void>;

/** A new run. Until its data is in memory nothing is written, so that a wrong path leaves no folder behind. */
export async function* beginRun(out: string, { data, layers, control, lock }: Plan): Preparation {
  const config = resolveConfig(layers);
  await RunFolder.claim(out);
  const addon = loadAddon();
  const dataset = yield* readUsableImages(data, config, control.signal);
  if (dataset === undefined) {
    yield abortedEnd(config);
    return undefined;
  }
  await ensureFolder(out);
  await lock();
  const folder = await RunFolder.claim(out);
  await folder.sweep();
  return yield* setUp({ addon, config, dataset, folder, signal: control.signal });
}

/** A run that was begun before, from its newest whole checkpoint. */
export async function* continueRun(folder: RunFolder, { data, layers, control, lock }: Plan): Preparation {
  await lock();
  await folder.sweep();
  const addon = loadAddon();
  const { config, checkpoint } = await findRun(folder, layers, addon);
  for (const { reason } of checkpoint?.damaged ?? []) {
    yield { type: 'note', level: 'warning', message: `passed over a damaged checkpoint: ${reason}` };
  }
  if (checkpoint !== undefined && checkpoint.step >= config.steps) {
    yield {
      type: 'note',
      level: 'info',
      message: `the run in ${folder.path} is finished; more steps continue it`,
    };
    yield { ...abortedEnd(config, checkpoint), stopped: 'finished' };
    return undefined;
  }
  const dataset = yield* readUsableImages(data, config, control.signal);
  if (dataset === undefined) {
    yield abortedEnd(config, checkpoint);
    return undefined;
  }
  if (checkpoint !== undefined) requireSameData(data, dataset.hash, checkpoint);
  return yield* setUp({ addon, config, dataset, folder, signal: control.signal, checkpoint });
}

/** The last tick of a run that took no step. */
const abortedEnd = ({ steps }: Config, from?: LoadedCheckpoint): EndTick => ({
  type: 'end',
  stopped: 'aborted',
  step: from?.step ?? 0,
  steps,
  images: from?.images ?? 0,
  seconds: from?.seconds ?? 0,
  ...(from !== undefined && { checkpoint: from.path }),
});

interface SetUpOptions {
  addon: Addon;
  config: Config;
  dataset: LoadedImages;
  folder: RunFolder;
  signal: AbortSignal | undefined;
  checkpoint?: LoadedCheckpoint | undefined;
}

/** Writes the run's first files and sets up the trainer, which then holds the only copies of images and state. */
async function* setUp(options: SetUpOptions): Preparation {
  const { addon, config, folder, signal, checkpoint } = options;
  const { images, skipped, hash: dataHash } = options.dataset;
  await folder.begin(config, skipped);
  const real = folder.sample('real');
  await writeFileAtomic(real, [await encodeGrid(spread(images, config.sampleCount))]);
  yield {
    type: 'begin',
    images: images.shape[0],
    skipped,
    steps: config.steps,
    step: checkpoint?.step ?? 0,
    ...(checkpoint !== undefined && { checkpoint: checkpoint.path }),
    wrote: [real],
  };
  if (signal?.aborted) {
    yield abortedEnd(config, checkpoint);
    return undefined;
  }
  const { seed, batchSize, threads } = config;
  const trainer = await addon.createTrainer({
    model: modelOptions(config),
    loss: lossOptions(config),
    optimizer: optimizerOptions(config),
    seed,
    batchSize,
    images,
    ...(threads !== undefined && { threads }),
    ...(checkpoint !== undefined && {
      state: { step: checkpoint.step, skipped: 0, tensors: checkpoint.tensors },
    }),
  });
  if (checkpoint === undefined) return { trainer, config, folder, dataHash };
  const { step, seconds, recent, path, damaged } = checkpoint;
  return { trainer, config, folder, dataHash, from: { step, seconds, recent, path, damaged } };
}

/** The images, of which there must be a batch; undefined on abort. */
export async function* readUsableImages(
  data: string,
  config: Config,
  signal: AbortSignal | undefined,
): AsyncGenerator<LoadTick, LoadedImages | undefined, void> {
  const dataset = yield* readImages(data, config, signal);
  const count = dataset?.images.shape[0] ?? config.batchSize;
  if (count >= config.batchSize) return dataset;
  throw new ConfigError(
    `batchSize = ${config.batchSize} is larger than the number of usable images, ${count}; lower it or add images`,
    { field: 'batchSize', value: config.batchSize },
  );
}

async function* readImages(
  data: string,
  config: Config,
  signal: AbortSignal | undefined,
): AsyncGenerator<LoadTick, LoadedImages | undefined, void> {
  const { imageSize, imageChannels, background } = config;
  const left = new AbortController();
  const signals = signal === undefined ? [left.signal] : [left.signal, signal];
  let progress = { done: 0, total: 0 };
  let settled = false;
  const loading = loadImages(data, {
    imageSize,
    imageChannels,
    background,
    signal: AbortSignal.any(signals),
    onProgress: (done: number, total: number) => {
      progress = { done, total };
    },
  }).finally(() => {
    settled = true;
  });
  // The consumer may leave at a yield, when nobody awaits the outcome any more.
  loading.catch(() => {});
  try {
    while (!settled) {
      yield { type: 'load', ...progress };
      await Promise.race([loading, delay(LOAD_TICK, undefined, { ref: false })]);
    }
    return await loading;
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  } finally {
    left.abort();
  }
}
