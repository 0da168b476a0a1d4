import type { Config } from '../config/schema.js';
import { writeFileAtomic } from '../files.js';
import { encodeGrid } from '../generation/grid.js';
import type { NativeTrainer } from '../native.js';
import { lossCurve } from './loss-curve.js';
import type { LossHistory } from './loss-history.js';
import type { RunFolder } from './run-folder.js';

/** Writes what a run leaves behind, each thing at most once a step. */
export class Artifacts {
  /** Latest paths. */
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
}
