/** How far generated images are from real ones: as they are, and by features. */
import type { MetricName } from '../config/schema.js';
import type { Addon, FeatureBatch, ImageBatch } from '../native.js';
import { inBlocks, type MeasureControl } from './blocks.js';
import { needsExtractor, PIXEL_METRICS } from './catalogue.js';
import type { FeatureExtractor } from './features.js';
import { diversity, sharpness } from './pixels.js';
import type { MetricValues, Sampler } from './sampler.js';

/**
 * Index of the first generated image that is measured. Grids and files are drawn from index 0 on, so no image that
 * anyone has looked at is among them.
 */
export const FIRST_INDEX = 2 ** 32;

/** Whether a metric is measured here. */
export const isOfGenerated = (name: MetricName): boolean => PIXEL_METRICS.has(name) || needsExtractor(name);

interface Generated {
  addon: Addon;
  model: Sampler;
  /** [N, S, S, C], N >= 1. */
  real: ImageBatch;
  wanted: ReadonlySet<MetricName>;
  seed: number;
  /** Images to generate; at least N. Of pixels the first N are compared. */
  count: number;
  /** There when a metric wants features. */
  compared?: { extractor: FeatureExtractor; real: FeatureBatch } | undefined;
}

export async function measureGenerated(
  { addon, model, real, wanted, seed, count, compared }: Generated,
  control: MeasureControl,
): Promise<MetricValues> {
  const [, ...itemShape] = real.shape;
  const kept = [...wanted].some((name) => PIXEL_METRICS.has(name))
    ? new Uint8Array(real.data.length)
    : new Uint8Array(0);
  const features = compared?.extractor.collect(count);
  let offset = 0;
  await inBlocks('drawing images', [count, ...itemShape], control, async (start, length) => {
    const images = await model.generate({ seed, startIndex: FIRST_INDEX + start, count: length });
    const room = images.data.subarray(0, kept.length - offset);
    kept.set(room, offset);
    offset += room.length;
    if (compared !== undefined) features?.add(await compared.extractor.features(images, model));
  });
  const values: MetricValues = {};
  const { signal, onProgress } = control;
  const compute = async (name: string, work: () => Promise<void>) => {
    signal?.throwIfAborted();
    onProgress?.(`computing ${name}`, 0, 1);
    await work();
  };
  const fake: ImageBatch = { data: kept, shape: real.shape };
  if (wanted.has('swd')) {
    await compute('swd', async () => {
      const levels = await addon.slicedWasserstein({ real, fake, seed });
      values.swd = levels.reduce((sum, { distance }) => sum + distance, 0) / levels.length;
    });
  }
  if (wanted.has('diversity')) values.diversity = diversity(fake, real);
  if (wanted.has('sharpness')) values.sharpness = sharpness(fake, real);
  if (compared === undefined || features === undefined) return values;
  const batches = { real: compared.real, fake: features.batch() };
  if (wanted.has('fd')) {
    await compute('fd', async () => {
      values.fd = await addon.frechetDistance(batches);
    });
  }
  if (wanted.has('kid')) {
    await compute('kid', async () => {
      values.kid = await addon.kernelDistance({ ...batches, seed });
    });
  }
  if (wanted.has('precision') || wanted.has('recall')) {
    await compute('precision and recall', async () => {
      Object.assign(values, await addon.precisionRecall(batches));
    });
  }
  return values;
}
