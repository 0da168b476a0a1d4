import { type DamagedCheckpoint, loadCheckpoint, networkTensors } from '../checkpoint/checkpoint.js';
import { resolveConfig } from '../config/resolve.js';
import {
  type Config,
  type ConfigInput,
  type MetricName,
  MOST_THREADS,
  modelOptions,
} from '../config/schema.js';
import { openData, spreadRows } from '../data/dataset.js';
import type { Skipped } from '../data/folder.js';
import { requireDevice } from '../device.js';
import { loadAddon } from '../native.js';
import { requireControl, requireKeys, requirePath, requireWhole } from '../options.js';
import { MEASURE_KEYS, type MeasureControl } from './blocks.js';
import { measurable, requireEnoughImages, requireMeasurable, requireMetricNames } from './catalogue.js';
import { Evaluator } from './evaluator.js';
import type { MetricValues } from './sampler.js';

export interface EvaluateOptions
  extends Pick<ConfigInput, 'extractor' | 'extractorSize' | 'extractorRange' | 'threads' | 'device'> {
  /** Checkpoint file, or run folder, whose newest whole checkpoint is taken. */
  checkpoint: string;
  /** Folder, archive or file of images. They are read as the network's training images were. */
  data: string;
  /** What to measure; default all that can be had at this image size, with or without an extractor. */
  metrics?: readonly MetricName[] | undefined;
  /** Generated images, and real ones at most; 2 or more. Default the run's metricCount. */
  count?: number | undefined;
  /** Default the run's: the values are then those that the run itself measures at this step, on its own data. */
  seed?: number | undefined;
}

export interface Evaluation {
  /** Values by name, in the order of docs/metrics.md. */
  metrics: MetricValues;
  /** The count that was asked for. */
  count: number;
  /** Real images that were measured: all where there are fewer. */
  realCount: number;
  /** Images that were generated: 0 where no metric looks at them, realCount where only their pixels are compared. */
  generatedCount: number;
  seed: number;
  /** The checkpoint file, and the training steps behind it. */
  checkpoint: string;
  step: number;
  data: string;
  /** SHA-256 of all images of the data. */
  dataHash: string;
  /** Newer checkpoints of the run that were passed over because they are damaged, newest first. */
  damaged: DamagedCheckpoint[];
  /** Files of the data that could not be used. */
  skipped: Skipped[];
}

const OPTIONS: readonly (keyof EvaluateOptions)[] = [
  'checkpoint',
  'data',
  'metrics',
  'count',
  'seed',
  'extractor',
  'extractorSize',
  'extractorRange',
  'threads',
  'device',
];

/**
 * Measures a trained network against images: docs/metrics.md says what each metric is. Settings that are left out are
 * the run's own, but for the extractor and its size and range: a checkpoint may come from anywhere, and what it names is
 * not opened.
 *
 * Throws ConfigError, ERR_SAN_OPTIONS, CheckpointError, DataError, SetupError, ERR_SAN_EXTRACTOR; after an abort
 * the signal's reason.
 */
export async function evaluate(options: EvaluateOptions, control: MeasureControl = {}): Promise<Evaluation> {
  requireKnown(options);
  requireControl(control, MEASURE_KEYS);
  const { signal, onProgress } = control;
  const addon = loadAddon();
  const { config: trained, ...checkpoint } = await loadCheckpoint(options.checkpoint, addon);
  const config = settings(trained, options);
  requireMeasurable(config);
  requireEnoughImages(config, Number.POSITIVE_INFINITY, 'count');
  const device = requireDevice(config.device, addon.info().cuda);
  const set = await openData(options.data, config, {
    signal,
    onProgress: ({ done, total }) => onProgress?.('preparing images', done, total ?? 0),
  });
  const { skipped, hash } = set;
  const images = await spreadRows(set, config.metricCount);
  const { seed, threads, metricCount } = config;
  const evaluator = await Evaluator.create({ addon, images, dataHash: hash, config, ...control });
  try {
    const network = await addon.createNetwork({
      model: modelOptions(config),
      tensors: networkTensors(checkpoint.tensors),
      ...(threads !== undefined && { threads }),
      device,
    });
    try {
      return {
        metrics: await evaluator.evaluate(network, control),
        count: metricCount,
        realCount: evaluator.realCount,
        generatedCount: evaluator.generatedCount,
        seed,
        checkpoint: checkpoint.path,
        step: checkpoint.step,
        data: options.data,
        dataHash: hash,
        damaged: checkpoint.damaged,
        skipped,
      };
    } finally {
      await network.dispose();
    }
  } finally {
    await evaluator.dispose();
  }
}

function requireKnown(options: EvaluateOptions): void {
  requireKeys(options, OPTIONS);
  const { checkpoint, data, metrics, count, seed, threads } = options;
  requirePath('checkpoint', checkpoint);
  requirePath('data', data);
  if (metrics !== undefined) requireMetricNames(metrics);
  if (count !== undefined) requireWhole('count', count, 2);
  if (seed !== undefined) requireWhole('seed', seed, 0);
  if (threads !== undefined) requireWhole('threads', threads, 1, MOST_THREADS);
}

/** The run's settings with those that are given in their place. */
function settings(trained: Config, options: EvaluateOptions): Config {
  const { extractor, extractorSize, extractorRange, threads, device, count, seed } = options;
  const { extractor: _, extractorSize: _size, extractorRange: _range, ...others } = trained;
  // Of the machine, not of the run.
  const { threads: _threads, device: _device, ...measuring } = others;
  // They wait for what the run measures, which may be something else than is measured here.
  const { keepBest: _best, plateau: _plateau, targets: _targets, ...base } = measuring;
  const metrics =
    options.metrics ??
    measurable({ imageSize: trained.imageSize, ...(extractor !== undefined && { extractor }) });
  const given = {
    metrics,
    metricCount: count,
    seed,
    threads,
    device,
    extractor,
    extractorSize,
    extractorRange,
  };
  return resolveConfig([
    { source: '', values: { ...base } },
    { source: '', values: given },
  ]);
}
