import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type DamagedCheckpoint, loadCheckpoint } from '../checkpoint/checkpoint.js';
import { parameterShapes } from '../checkpoint/parameters.js';
import { type Config, MEASURED, type Measured, modelOptions } from '../config/schema.js';
import { OutputError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import type { Dtype, NativeTensor } from '../native.js';
import { requirePath } from '../options.js';
import { type PartParameters, parametersByPart, sumOfParts } from '../training/cost.js';
import { parseLine } from '../training/metrics-file.js';

export interface TensorSummary {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Root mean square of its numbers, and the largest of their absolute values; NaN where one is not a number. */
  rms: number;
  largest: number;
}

export interface Inspection {
  /** The checkpoint file, and its size in bytes. */
  path: string;
  bytes: number;
  /** SHA-256 that the file carries, and that its content was found to have. */
  checksum: string;
  step: number;
  /** Images seen, and seconds trained. */
  images: number;
  seconds: number;
  /** Steps skipped, for something in them was not finite. */
  skipped: number;
  /** SHA-256 of the images trained on. */
  dataHash: string;
  config: Config;
  parameters: { parts: PartParameters[]; total: PartParameters };
  /** Whether it has the generator's moving average, and the optimizer's moments. */
  averaged: boolean;
  resumable: boolean;
  /** Tensors in the order of the file. */
  tensors: TensorSummary[];
  /** The latest value of each loss and metric up to this step, as the run's metrics.jsonl has it; {} without one. */
  metrics: Partial<Record<Measured, { step: number; value: number }>>;
  /** Newer checkpoints of the run that were passed over because they are damaged, newest first. */
  damaged: DamagedCheckpoint[];
}

/**
 * What is in a checkpoint: a file, or the newest whole one of a run folder. Everything is read and the checksum checked;
 * neither the addon nor LibTorch is needed. Throws ERR_SAN_OPTIONS, CheckpointError, OutputError.
 */
export async function inspectCheckpoint(runOrFile: string): Promise<Inspection> {
  requirePath('runOrFile', runOrFile);
  const checkpoint = await loadCheckpoint(runOrFile, { parameters: parameterShapes });
  const { path, bytes, config, tensors, step, images, seconds, skipped, dataHash, checksum, damaged } =
    checkpoint;
  const parts = parametersByPart(parameterShapes(modelOptions(config)));
  const has = (prefix: string) => tensors.some(({ name }) => name.startsWith(prefix));
  return {
    path,
    bytes,
    checksum,
    step,
    images,
    seconds,
    skipped,
    dataHash,
    config,
    parameters: { parts, total: sumOfParts(parts) },
    averaged: has('ema.'),
    resumable: has('exp_avg.'),
    tensors: tensors.map(summary),
    metrics: await metricsUpTo(step, path),
    damaged,
  };
}

function summary({ name, dtype, shape, data }: NativeTensor): TensorSummary {
  const values = dtype === 'float32' ? new Float32Array(data.buffer) : new Float64Array(data.buffer);
  let squares = 0;
  let largest = 0;
  for (const value of values) {
    squares += value * value;
    largest = Math.max(largest, Math.abs(value));
  }
  return { name, dtype, shape, rms: values.length === 0 ? 0 : Math.sqrt(squares / values.length), largest };
}

/** From the run folder that the checkpoint lies in, if it does. */
async function metricsUpTo(step: number, checkpoint: string): Promise<Inspection['metrics']> {
  const folder = dirname(checkpoint);
  if (basename(folder) !== 'checkpoints') return {};
  const path = join(dirname(folder), 'metrics.jsonl');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new OutputError(`cannot read ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
  });
  const latest: Inspection['metrics'] = {};
  for (const line of text.split('\n').map(parseLine)) {
    if (line === undefined || line.step > step) continue;
    for (const name of MEASURED) {
      const value = line[name];
      if (typeof value === 'number') latest[name] = { step: line.step, value };
    }
  }
  return latest;
}
