/** From settings and data to a trainer that is ready for its first step, in a folder that is the run's own. */
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type LoadedCheckpoint, stateOf } from '../checkpoint/checkpoint.js';
import { readConfigFile } from '../config/file.js';
import { latentNote } from '../config/latent-note.js';
import { type ConfigLayer, resolveConfig, resolveWithOrigins } from '../config/resolve.js';
import type { Config } from '../config/schema.js';
import { openData, type PreparedSet, type PrepareProgress, spreadRows } from '../data/dataset.js';
import { requireDevices } from '../device.js';
import type { Team } from '../distributed/team.js';
import { ConfigError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { encodeGrid } from '../generation/grid.js';
import { Evaluator } from '../metrics/evaluator.js';
import { type Addon, loadAddon } from '../native.js';
import { refuseOverInput } from '../output-place.js';
import { describeSession, recordSession } from './environment.js';
import { faultsOf } from './faults.js';
import {
  continuedWeights,
  type InitialWeights,
  initialState,
  initNotes,
  readInitialWeights,
  stateFrom,
  writeInitRecord,
} from './init-from.js';
import type { LoopOptions } from './loop.js';
import { readLines } from './metrics-file.js';
import { hasMetrics } from './metrics-log.js';
import { namingSettings } from './out-of-memory.js';
import { RECONSTRUCTED } from './pictures.js';
import { findRun, requireSameData } from './resume.js';
import { startingPoint } from './roll-back.js';
import { RunFolder } from './run-folder.js';
import type { EndTick, LoadTick, NoteTick, Tick } from './ticks.js';
import { trainerOptions } from './trainer-options.js';

/** Milliseconds between two ticks while images are read. */
const LOAD_TICK = 200;

export interface Plan {
  data: string;
  layers: readonly ConfigLayer[];
  /** Run folder or checkpoint with the weights to begin from. */
  initFrom?: string | undefined;
  control: { signal?: AbortSignal | undefined };
  /** The ranks of this run, of which this is rank 0; absent in a run on one. */
  team?: Team | undefined;
  /** Keeps other runs out of the folder, which must exist by then; false on an abort. */
  lock(): Promise<boolean>;
  /** Throws LockLost when another run has taken the folder over nevertheless. */
  requireLock(): Promise<void>;
}

/** Yields the ticks until training begins; gives what the training loop needs, or undefined when all is said. */
type Preparation = AsyncGenerator<Tick, LoopOptions | undefined, void>;

/** A new run. Until its data is ready nothing is written to its folder, so that a wrong path leaves no folder behind. */
export async function* beginRun(out: string, plan: Plan): Preparation {
  const { data, layers, initFrom, control, lock, team } = plan;
  const resolved = resolveWithOrigins(layers);
  const { config } = resolved;
  await RunFolder.claim(out);
  // Else its pictures would be training images, and the run could never be resumed.
  await refuseOverInput(out, data, 'out', true);
  const note = latentNote(resolved);
  if (note !== undefined) yield { type: 'note', level: 'warning', message: note };
  const addon = loadAddon();
  requireDevices(config, addon.info().cuda, team?.localRank);
  const weights = initFrom === undefined ? undefined : await readInitialWeights(initFrom, { config, addon });
  await team?.prepare(config);
  const dataset = yield* readUsableImages(data, config, control.signal);
  if (dataset === undefined) {
    yield abortedEnd(config);
    return undefined;
  }
  await ensureFolder(out);
  if (!(await lock())) {
    yield abortedEnd(config);
    return undefined;
  }
  const folder = await RunFolder.claim(out);
  await folder.sweep();
  const wrote = await writeInitRecord(folder, weights);
  return yield* setUp({ ...plan, addon, config, dataset, folder, signal: control.signal, weights, wrote });
}

/** A run that was begun before, from its newest whole checkpoint. */
export async function* continueRun(folder: RunFolder, plan: Plan): Preparation {
  const { data, layers, initFrom, control, lock, team } = plan;
  if (!(await lock())) {
    yield abortedEnd(resolveConfig([await readConfigFile(folder.config), ...layers]));
    return undefined;
  }
  await folder.sweep();
  const addon = loadAddon();
  const { config, checkpoint } = await findRun(folder, layers, addon);
  requireDevices(config, addon.info().cuda, team?.localRank);
  const begun = checkpoint !== undefined;
  const weights = await continuedWeights({ folder, initFrom, begun, config, addon });
  for (const { reason } of checkpoint?.damaged ?? []) {
    yield { type: 'note', level: 'warning', message: `passed over a damaged checkpoint: ${reason}` };
  }
  if (
    checkpoint !== undefined &&
    checkpoint.step >= config.steps &&
    !(await lacksEvaluation(folder, config, checkpoint.step))
  ) {
    yield {
      type: 'note',
      level: 'info',
      message: `the run in ${folder.path} is finished; more steps continue it`,
    };
    yield { ...abortedEnd(config, checkpoint), stopped: 'finished' };
    return undefined;
  }
  await team?.prepare(config);
  const dataset = yield* readUsableImages(data, config, control.signal);
  if (dataset === undefined) {
    yield abortedEnd(config, checkpoint);
    return undefined;
  }
  if (checkpoint !== undefined) requireSameData(data, dataset.hash, checkpoint);
  return yield* setUp({
    ...plan,
    addon,
    config,
    dataset,
    folder,
    signal: control.signal,
    checkpoint,
    weights,
  });
}

/** Whether an abort in the last step kept the evaluation at the end from being made. */
async function lacksEvaluation(folder: RunFolder, config: Config, step: number): Promise<boolean> {
  if (config.metricEvery === 0 || config.metrics.length === 0) return false;
  const lines = await readLines(folder.metrics);
  return !lines.some((line) => line.step === step && hasMetrics(line));
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
  wrote: [],
});

interface SetUpOptions extends Pick<Plan, 'team' | 'requireLock'> {
  addon: Addon;
  config: Config;
  dataset: PreparedSet;
  folder: RunFolder;
  signal: AbortSignal | undefined;
  checkpoint?: LoadedCheckpoint | undefined;
  /** What a run without a checkpoint begins from. */
  weights?: InitialWeights | undefined;
  /** Files written so far. */
  wrote?: string[];
}

/** Writes the run's first files and sets up the trainer, which maps the images and holds the only copy of the state. */
async function* setUp(options: SetUpOptions): Preparation {
  const { addon, config, folder, signal, checkpoint, weights, wrote = [], requireLock } = options;
  const { dataset } = options;
  const { skipped, hash: dataHash, source } = dataset;
  const [imageCount] = dataset.shape;
  // The images may have taken hours.
  await requireLock();
  await folder.begin(config, skipped);
  const session = await describeSession({
    info: addon.info(),
    // Who looks for them later may be elsewhere.
    data: { path: resolve(source.path), images: imageCount, hash: dataHash },
    step: checkpoint?.step ?? 0,
    threads: config.threads,
  });
  await recordSession(folder.environment, session);
  const real = folder.sample('real');
  await writeFileAtomic(real, [await encodeGrid(await spreadRows(dataset, config.sampleCount))]);
  yield {
    type: 'begin',
    images: imageCount,
    skipped,
    steps: config.steps,
    step: checkpoint?.step ?? 0,
    ...(checkpoint !== undefined && { checkpoint: checkpoint.path }),
    wrote: [...wrote, real],
  };
  if (weights) yield* initNotes(weights, folder);
  const images = await spreadRows(dataset, RECONSTRUCTED);
  const evaluator = await createEvaluator(options);
  if (signal?.aborted) {
    await evaluator?.dispose();
    yield abortedEnd(config, checkpoint);
    return undefined;
  }
  const trainer = await createTrainer(options).catch(async (error: unknown) => {
    await evaluator?.dispose();
    throw error;
  });
  return {
    trainer,
    addon,
    evaluator,
    config,
    folder,
    requireLock,
    dataHash,
    images,
    initialState: () => initialState({ folder, config, addon }),
    from: checkpoint && startingPoint(checkpoint),
  };
}

/** Once all ranks have the same images. Its native memory is the caller's to free. */
async function createTrainer({ addon, config, dataset, checkpoint, weights, team }: SetUpOptions) {
  await team?.compareData(dataset.source.path, dataset.hash);
  const faults = faultsOf(process.env);
  const state = checkpoint ? stateOf(checkpoint) : weights && (await stateFrom(weights, { config, addon }));
  return addon
    .createTrainer({
      ...trainerOptions(config, addon, team?.localRank),
      dataset: { path: dataset.path },
      ...(faults && { faults }),
      ...(state && { state }),
      ...(team && { group: team.group }),
    })
    .catch((error: unknown) => {
      throw namingSettings(error, config, 'before the first step');
    });
}

/** What measures the metrics; undefined in a run without. Its native memory is the caller's to free. */
async function createEvaluator({ addon, config, dataset, signal }: SetUpOptions) {
  if (config.metricEvery === 0 || config.metrics.length === 0) return undefined;
  const images = await spreadRows(dataset, config.metricCount);
  const { hash: dataHash } = dataset;
  return Evaluator.create({ addon, images, dataHash, config, signal }).catch((error: unknown) => {
    if (signal?.aborted) return undefined;
    throw error;
  });
}

/** The images, of which there must be a batch; undefined on abort. */
export async function* readUsableImages(
  data: string,
  config: Config,
  signal: AbortSignal | undefined,
): AsyncGenerator<LoadTick | NoteTick, PreparedSet | undefined, void> {
  const dataset = yield* readImages(data, config, signal);
  const count = dataset?.shape[0] ?? config.batchSize;
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
): AsyncGenerator<LoadTick | NoteTick, PreparedSet | undefined, void> {
  const left = new AbortController();
  const signals = signal === undefined ? [left.signal] : [left.signal, signal];
  const notes: NoteTick[] = [];
  let progress: PrepareProgress = { done: 0, images: 0, skipped: 0 };
  let settled = false;
  const loading = openData(data, config, {
    signal: AbortSignal.any(signals),
    onProgress: (now) => {
      progress = now;
    },
    onWait: (process) => {
      const message = `process ${process} is preparing the same images; waiting for it`;
      notes.push({ type: 'note', level: 'info', message });
    },
  }).finally(() => {
    settled = true;
  });
  // The consumer may leave at a yield, when nobody awaits the outcome any more.
  loading.catch(() => {});
  try {
    while (!settled) {
      yield* notes.splice(0);
      const { done, total = 0 } = progress;
      yield { type: 'load', done, total };
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
