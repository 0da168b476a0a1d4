/** What a run would take, from its settings, its data and some real steps. */
import type { LoadedCheckpoint } from '../checkpoint/checkpoint.js';
import { readConfigFile } from '../config/file.js';
import { latentNote } from '../config/latent-note.js';
import { configLayers } from '../config/layers.js';
import type { PresetName } from '../config/presets.js';
import { resolveWithOrigins } from '../config/resolve.js';
import { type Config, type ConfigInput, modelOptions } from '../config/schema.js';
import type { PreparedSet } from '../data/dataset.js';
import { requireDevices } from '../device.js';
import { type Addon, type Device, loadAddon } from '../native.js';
import { requireControl, requireObject, requirePath } from '../options.js';
import { stepsUntilCaptured } from './captured-steps.js';
import {
  type MemoryEstimate,
  meanFlops,
  memoryEstimate,
  optimizerTraffic,
  type PartParameters,
  parametersByPart,
  type StateBytes,
  type StepFlops,
  stateBytes,
  stepFlops,
  sumOfParts,
} from './cost.js';
import { namingSettings } from './out-of-memory.js';
import { readUsableImages } from './prepare.js';
import { findRun, requireSameData } from './resume.js';
import { RunFolder } from './run-folder.js';
import { lastStepOf } from './stopping.js';
import type { LoadTick, NoteTick } from './ticks.js';
import { trainerOptions } from './trainer-options.js';

/** As for train(); nothing is written but the cache of prepared images, so that `out` is needed only with `resume`. */
export interface DryRunOptions extends ConfigInput {
  /** Folder, archive or file of images: docs/data.md has all kinds. */
  data: string;
  /** Run folder to be continued. */
  out?: string | undefined;
  /** Tells what is left of the run in `out`. */
  resume?: boolean | undefined;
  preset?: PresetName | undefined;
  /** YAML or JSON file of config keys, over the preset. */
  config?: string | undefined;
}

export interface DryRunControl {
  signal?: AbortSignal | undefined;
  onLoad?: ((tick: LoadTick) => void) | undefined;
  /** What train() would say of the settings. */
  onNote?: ((tick: NoteTick) => void) | undefined;
}

/** Its keys. */
export const DRY_RUN_KEYS: readonly (keyof DryRunControl)[] = ['signal', 'onLoad', 'onNote'];

export interface DryRun {
  /** Latent head, modules and image head: how many numbers each network has in them. */
  parameters: { parts: PartParameters[]; total: PartParameters };
  /** Floating-point operations of a step. */
  flops: StepFlops;
  bytes: StateBytes & {
    /** Read and written by the optimizer in each step. */
    optimizerTraffic: number;
  };
  memory: MemoryEstimate & {
    /** Largest resident memory of this process so far; on a GPU the most taken there in the steps, with the graphs'. */
    measuredPeak: number;
  };
  /** Usable images, and files that could not be used. */
  images: number;
  skipped: number;
  batchSize: number;
  stepsPerEpoch: number;
  /** Steps to take, those of `from` left out, and the epochs that they are. */
  steps: number;
  epochs: number;
  /** Steps done before, by the newest whole checkpoint, in a run that is continued. */
  from: number;
  /** Measured over three steps after a first one, or on a GPU after those that it takes to capture both kinds of steps. */
  secondsPerStep: number;
  imagesPerSecond: number;
  /** Of all steps, without pictures, metrics and checkpoints; at most maxMinutes. */
  seconds: number;
  /** When a run begun now would end: ISO 8601, UTC. */
  end: string;
}

const MEASURED_STEPS = 3;
/** Before them on a GPU, for penalties so rare that capturing their steps would take too long. */
const MOST_FIRST_STEPS = 128;

/**
 * Reads the images and takes some steps with them, and tells what the whole run would take. Writes nothing but the cache of
 * prepared images.
 *
 * Throws what train() throws before its first step, and ERR_SAN_OPTIONS; the signal's reason after an abort while images are read.
 */
export async function dryRun(options: DryRunOptions, control: DryRunControl = {}): Promise<DryRun> {
  requireObject(options, '{ data, preset, imageSize }');
  requireControl(control, DRY_RUN_KEYS);
  const { data, out, resume = false, preset, config: file, ...keys } = options;
  requirePath('data', data);
  const run = resume && out !== undefined ? await RunFolder.find(out) : undefined;
  const layers = await configLayers({ preset, config: file, keys });
  const addon = loadAddon();
  const begun = run && (await progressOf(run, layers, addon));
  const resolved = resolveWithOrigins(run ? [await readConfigFile(run.config), ...layers] : layers);
  const { config } = resolved;
  const note = latentNote(resolved);
  if (note !== undefined) control.onNote?.({ type: 'note', level: 'warning', message: note });
  const device = requireDevices(config, addon.info().cuda);
  const dataset = await loadUsable(data, config, control);
  if (begun) requireSameData(data, dataset.hash, begun);
  const [images] = dataset.shape;
  const parts = parametersByPart(addon.parameters(modelOptions(config)));
  const total = sumOfParts(parts);
  const flops = stepFlops(config);
  const { secondsPerStep, peak } = await measure(addon, config, dataset, flops, device).catch(
    (error: unknown) => {
      throw namingSettings(error, config, 'in the steps of the dry run');
    },
  );
  const { step: from = 0, seconds: trained = 0 } = begun ?? {};
  const steps = Math.max(0, lastStepOf(config) - from);
  const limit = (config.maxMinutes ?? Number.POSITIVE_INFINITY) * 60;
  const seconds = Math.min(Math.max(0, limit - trained), steps * secondsPerStep);
  const stepsPerEpoch = Math.floor(images / config.batchSize);
  return {
    parameters: { parts, total },
    flops,
    bytes: { ...stateBytes(total), optimizerTraffic: optimizerTraffic(total) },
    memory: {
      ...memoryEstimate(config, total, images, device),
      measuredPeak: peak,
    },
    images,
    skipped: dataset.skipped.length,
    batchSize: config.batchSize,
    stepsPerEpoch,
    steps,
    epochs: steps / stepsPerEpoch,
    from,
    secondsPerStep,
    imagesPerSecond: config.batchSize / secondsPerStep,
    seconds,
    end: new Date(Date.now() + seconds * 1000).toISOString(),
  };
}

type Begun = Pick<LoadedCheckpoint, 'step' | 'seconds' | 'path' | 'dataHash'>;

/** How far a run is that is to be continued, without its tensors; undefined before its first checkpoint. */
async function progressOf(...run: Parameters<typeof findRun>): Promise<Begun | undefined> {
  const { checkpoint } = await findRun(...run);
  if (checkpoint === undefined) return undefined;
  const { step, seconds, path, dataHash } = checkpoint;
  return { step, seconds, path, dataHash };
}

/** The images of `data`, with ticks told to the control. */
export async function loadUsable(
  data: string,
  config: Config,
  { signal, onLoad }: DryRunControl,
): Promise<PreparedSet> {
  const reading = readUsableImages(data, config, signal);
  let next = await reading.next();
  for (; next.done !== true; next = await reading.next()) {
    if (next.value.type === 'load') onLoad?.(next.value);
  }
  if (next.value === undefined) throw signal?.reason;
  return next.value;
}

/** Seconds of an average step, and the most memory that was held. */
async function measure(
  addon: Addon,
  config: Config,
  dataset: PreparedSet,
  flops: StepFlops,
  device: Device,
): Promise<{ secondsPerStep: number; peak: number }> {
  const trainer = await addon.createTrainer({
    ...trainerOptions(config, addon),
    dataset: { path: dataset.path },
  });
  try {
    // LibTorch prepares its kernels in the first step; what a GPU replays has memory of its own.
    const first = device === 'cpu' ? 1 : Math.min(MOST_FIRST_STEPS, stepsUntilCaptured(config));
    await trainer.run({ steps: first });
    const { seconds } = await trainer.run({ steps: MEASURED_STEPS });
    const average = MEASURED_STEPS * meanFlops(flops, config);
    return {
      secondsPerStep: ((seconds / MEASURED_STEPS) * average) / measuredFlops(flops, config, first),
      peak:
        device === 'cpu'
          ? process.resourceUsage().maxRSS * 1024
          : (await addon.deviceMemory({ device })).reservedPeak,
    };
  } finally {
    await trainer.dispose();
  }
}

/** Operations of the measured steps, from step `first` on; a rare gradient penalty falls into few of them or none. */
function measuredFlops(
  { forward, backward, penalty }: StepFlops,
  { penaltyEvery }: Config,
  first: number,
): number {
  const penalties = Array.from({ length: MEASURED_STEPS }, (_, i) => (first + i) % penaltyEvery).filter(
    (position) => position === 0,
  ).length;
  return MEASURED_STEPS * (forward + backward) + penalties * penalty;
}
