/** Pictures of what the networks make of the same latents and the same images, time after time. */
import type { Config } from '../config/schema.js';
import { encodeGrid, rowOverRow, spread } from '../generation/grid.js';
import { interpolate } from '../generation/interpolate.js';
import type { Addon, ImageBatch, LatentBatch, NativeTrainer } from '../native.js';
import { type Looks, looksOf } from './looks.js';

/** Real images that are reconstructed, at most. */
export const RECONSTRUCTED = 24;
const RECONSTRUCTION_COLUMNS = 8;
const INTERPOLATION_ROWS = 6;
const INTERPOLATION_COLUMNS = 9;

/** A PNG and what it is called in files' names and TensorBoard's tags. */
export interface DrawnPicture {
  kind: 'samples' | 'reconstructions' | 'interpolation';
  png: Buffer;
}

export interface PicturesOptions {
  trainer: Pick<NativeTrainer, 'generate' | 'decode' | 'reverse'>;
  addon: Pick<Addon, 'latents'>;
  config: Config;
  /** Real images [N, S, S, C], N >= 1; up to RECONSTRUCTED of them are used, evenly spread. */
  images: ImageBatch;
}

/** The three pictures of a step, all with the moving average of the generator. */
export class Pictures {
  private readonly trainer: PicturesOptions['trainer'];
  private readonly config: Config;
  private readonly images: ImageBatch;
  private readonly addon: PicturesOptions['addon'];
  private latestLooks: Looks | undefined;

  constructor({ trainer, addon, config, images }: PicturesOptions) {
    this.trainer = trainer;
    this.config = config;
    this.images = spread(images, RECONSTRUCTED);
    this.addon = addon;
  }

  /** Of the latest sample grid, against the images that are reconstructed. */
  get looks(): Looks | undefined {
    return this.latestLooks;
  }

  /** One after the other. Rejects with NativeError. */
  async *draw(): AsyncGenerator<DrawnPicture, void, void> {
    yield { kind: 'samples', png: await this.samples() };
    yield { kind: 'reconstructions', png: await this.reconstructions() };
    yield { kind: 'interpolation', png: await this.interpolation() };
  }

  /** What `generate` draws with the run's seed. */
  private async samples(): Promise<Buffer> {
    const { seed, sampleCount } = this.config;
    const images = await this.trainer.generate({ seed, count: sampleCount });
    this.latestLooks = looksOf(images, this.images);
    return encodeGrid(images);
  }

  /** Rows of real images, each over the row of what becomes of them by R and then G. */
  private async reconstructions(): Promise<Buffer> {
    const { images, trainer } = this;
    const again = await trainer.decode({ latents: await trainer.reverse({ images }) });
    const columns = Math.min(RECONSTRUCTION_COLUMNS, images.shape[0]);
    return encodeGrid(rowOverRow(images, again, columns), { columns, rowsPerGroup: 2 });
  }

  /** Ways between images 0 and 1, 2 and 3 ... of the sample grid. */
  private async interpolation(): Promise<Buffer> {
    const { seed, latentChannels, latentSize } = this.config;
    const count = 2 * INTERPOLATION_ROWS;
    const ends = await this.addon.latents({ seed, count, latentChannels, latentSize });
    const latents = interpolate(everyOther(ends, 0), everyOther(ends, 1), INTERPOLATION_COLUMNS);
    const images = await this.trainer.decode({ latents });
    return encodeGrid(images, { columns: INTERPOLATION_COLUMNS });
  }
}

function everyOther({ data, shape: [count, ...item] }: LatentBatch, first: 0 | 1): LatentBatch {
  const size = item.reduce((a, b) => a * b, 1);
  const taken = new Float32Array((count / 2) * size);
  for (let i = 0; i < count / 2; i++)
    taken.set(data.subarray((2 * i + first) * size, (2 * i + first + 1) * size), i * size);
  return { data: taken, shape: [count / 2, ...item] };
}
