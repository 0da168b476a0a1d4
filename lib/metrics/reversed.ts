/** What the latents of real images tell: how far they are from the prior, and how well images come back from them. */
import type { MetricName } from '../config/schema.js';
import type { Addon, ImageBatch } from '../native.js';
import { imagesFrom, inBlocks, type MeasureControl, Rows } from './blocks.js';
import type { MetricValues, Sampler } from './sampler.js';

/** Half of the range of 8-bit values: pixels of the network run from -1 to 1. */
const HALF_RANGE = 127.5;

const NAMES: ReadonlySet<MetricName> = new Set([
  'reconstruction',
  'latentMean',
  'latentVariance',
  'latentCovariance',
]);
/** Whether a metric is measured here. */
export const isOfReversed = (name: MetricName): boolean => NAMES.has(name);

interface Reversed {
  addon: Pick<Addon, 'latentStatistics'>;
  model: Sampler;
  /** [N, S, S, C], N >= 1; N >= 2 for the statistics. */
  real: ImageBatch;
  wanted: ReadonlySet<MetricName>;
}

export async function measureReversed(
  { addon, model, real, wanted }: Reversed,
  control: MeasureControl,
): Promise<MetricValues> {
  const total = real.shape[0];
  const reconstruct = wanted.has('reconstruction');
  const describe = [...wanted].some((name) => name.startsWith('latent'));
  const latents = new Rows(total);
  let itemShape: [number, number, number] = [0, 0, 0];
  let squares = 0;
  await inBlocks('reversing real images', real.shape, control, async (start, count) => {
    const images = imagesFrom(real, start, count);
    const block = await model.reverse({ images });
    if (describe) {
      const [, channels, height, width] = block.shape;
      itemShape = [channels, height, width];
      latents.add(block.data, count);
    }
    if (reconstruct) squares += squaredError(images.data, (await model.decode({ latents: block })).data);
  });
  const { mean, variance, covariance } = describe
    ? await addon.latentStatistics({ latents: { data: latents.data, shape: [total, ...itemShape] } })
    : { mean: 0, variance: 0, covariance: 0 };
  return {
    reconstruction: squares / (real.data.length * HALF_RANGE ** 2),
    latentMean: mean,
    latentVariance: variance,
    latentCovariance: covariance,
  };
}

/** Sum over all 8-bit values. */
export function squaredError(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum;
}
