import { setImmediate } from 'node:timers/promises';
import { saveCheckpoint } from '../checkpoint/checkpoint.js';
import type { Config } from '../config/schema.js';
import { SanError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import { encodeGrid } from '../generation/grid.js';
import type { NativeTensor, NativeTrainer } from '../native.js';
import { lossCurve } from './loss-curve.js';
import type { LossHistory } from './loss-history.js';
import type { RunFolder } from './run-folder.js';

/** Writes what a run leaves behind, each thing at most once a step. */
export class Artifacts {
  /** Latest paths. */
  checkpoint?: string;
  samples?: string;
  lossCurve?: string;
  private readonly trainer: NativeTrainer;
  private readonly config: Config;
  private readonly folder: RunFolder;

  constructor(trainer: NativeTrainer, config: Config, folder: RunFolder) {
    this.trainer = trainer;
    this.config = config;
    this.folder = folder;
  }

  /** A grid of the same latents each time, drawn with the moving average: `generate` with the run's seed. */
  async drawSamples(step: number): Promise<string[]> {
    const path = this.folder.sample(step);
    if (path === this.samples) return [];
    const { seed, sampleCount } = this.config;
    const images = await this.trainer.generate({ seed, count: sampleCount });
    await writeFileAtomic(path, [await encodeGrid(images)]);
    this.samples = path;
    return [path];
  }

  async drawLossCurve(history: LossHistory): Promise<string[]> {
    const path = this.folder.lossCurve;
    await writeFileAtomic(path, [lossCurve(history.points)]);
    this.lossCurve = path;
    return [path];
  }

  /** Throws ERR_SAN_NON_FINITE and writes nothing when a tensor has gone bad, so that every file is a good one. */
  async saveState(step: number): Promise<string[]> {
    const path = this.folder.checkpoint(step);
    if (path === this.checkpoint) return [];
    const { tensors } = await this.trainer.state();
    const bad = await firstNonFinite(tensors);
    if (bad !== undefined) {
      throw new SanError(
        'ERR_SAN_NON_FINITE',
        `tensor ${bad} holds a value that is not finite at step ${step}; training stopped, earlier checkpoints are unharmed`,
        { field: bad },
      );
    }
    const images = step * this.config.batchSize;
    await saveCheckpoint(path, { config: this.config, step, images, tensors });
    this.checkpoint = path;
    return [path];
  }
}

/** Name of the first tensor with a NaN or an infinity. Lets other work in between, for there may be many tensors. */
async function firstNonFinite(tensors: readonly NativeTensor[]): Promise<string | undefined> {
  for (const tensor of tensors) {
    if (!allFinite(tensor)) return tensor.name;
    await setImmediate();
  }
  return undefined;
}

function allFinite({ dtype, data }: NativeTensor): boolean {
  const { buffer, byteOffset, byteLength } = data;
  const values =
    dtype === 'float64'
      ? new Float64Array(buffer, byteOffset, byteLength / 8)
      : new Float32Array(buffer, byteOffset, byteLength / 4);
  // Zero times anything finite is zero: one addition a number, several times as fast as a call for each.
  let sum = 0;
  for (const value of values) sum += 0 * value;
  return sum === 0;
}
