import { setTimeout as delay } from 'node:timers/promises';
import { readConfigFile } from '../config/file.js';
import type { PresetName } from '../config/presets.js';
import { presetLayer, resolveConfig } from '../config/resolve.js';
import {
  type Config,
  type ConfigInput,
  lossOptions,
  modelOptions,
  optimizerOptions,
} from '../config/schema.js';
import { loadImages } from '../data/dataset.js';
import { ConfigError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import { encodeGrid, spread } from '../generation/grid.js';
import { type Addon, loadAddon, type NativeTrainer } from '../native.js';
import { trainingLoop } from './loop.js';
import { RunFolder } from './run-folder.js';
import type { BeginTick, LoadTick, Tick } from './ticks.js';

/** Milliseconds between two ticks while images are read. */
const LOAD_TICK = 200;

/** What to train on and where to; any config key may stand beside these and wins over the file and the preset. */
export interface TrainOptions extends ConfigInput {
  /** Folder of images, searched recursively, or an IDX file. */
  data: string;
  /** Run folder; made when missing, refused when a run is in it. */
  out: string;
  /** Named settings under all others. */
  preset?: PresetName | undefined;
  /** YAML or JSON file of config keys, over the preset. */
  config?: string | undefined;
}

export interface TrainControl {
  /** Ends the run after the step under way, with a checkpoint and a last tick that says `stopped: 'aborted'`. */
  signal?: AbortSignal | undefined;
}

/**
 * Trains a SAN (spec sections 1 to 3) and yields its progress. Training goes on only while ticks are taken; leaving
 * the loop early ends it and frees the native memory, without a checkpoint.
 *
 * Throws ConfigError, DataError, OutputError, SetupError; ERR_SAN_NON_FINITE when a loss is no longer a number.
 */
export async function* train(
  options: TrainOptions,
  control: TrainControl = {},
): AsyncGenerator<Tick, void, void> {
  const { data, out, preset, config: file, ...keys } = options;
  const { signal } = control;
  requirePath('data', data);
  requirePath('out', out);
  const config = resolveConfig([
    ...(preset === undefined ? [] : [presetLayer(preset)]),
    ...(file === undefined ? [] : [await readConfigFile(file)]),
    { source: '', values: keys },
  ]);
  const folder = await RunFolder.claim(out);
  const addon = loadAddon();
  const trainer = yield* prepare({ addon, config, data, folder, signal });
  if (trainer === undefined) {
    yield { type: 'end', stopped: 'aborted', step: 0, steps: config.steps, images: 0, seconds: 0 };
    return;
  }
  try {
    yield* trainingLoop({ trainer, config, folder, signal });
  } finally {
    await trainer.dispose();
  }
}

interface PrepareOptions {
  addon: Addon;
  config: Config;
  data: string;
  folder: RunFolder;
  signal: AbortSignal | undefined;
}

/** Reads the data and sets up the trainer, which then holds the only copy of the images; undefined on abort. */
async function* prepare(
  options: PrepareOptions,
): AsyncGenerator<LoadTick | BeginTick, NativeTrainer | undefined, void> {
  const { addon, config, folder, signal } = options;
  const dataset = yield* readImages(options);
  if (dataset === undefined) return undefined;
  const { images, skipped } = dataset;
  const [count] = images.shape;
  if (count < config.batchSize) {
    throw new ConfigError(
      `batchSize = ${config.batchSize} is larger than the number of usable images, ${count}; lower it or add images`,
      { field: 'batchSize', value: config.batchSize },
    );
  }
  await folder.begin(config, skipped);
  const real = folder.sample('real');
  await writeFileAtomic(real, [await encodeGrid(spread(images, config.sampleCount))]);
  yield { type: 'begin', images: count, skipped, steps: config.steps, wrote: [real] };
  if (signal?.aborted) return undefined;
  const { seed, batchSize, threads } = config;
  return addon.createTrainer({
    model: modelOptions(config),
    loss: lossOptions(config),
    optimizer: optimizerOptions(config),
    seed,
    batchSize,
    images,
    ...(threads !== undefined && { threads }),
  });
}

type Dataset = Awaited<ReturnType<typeof loadImages>>;

async function* readImages(options: PrepareOptions): AsyncGenerator<LoadTick, Dataset | undefined, void> {
  const { config, data, signal } = options;
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

function requirePath(field: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') return;
  throw new ConfigError(`${field} must be the path of a file or folder`, { field, value });
}
