/** How good the pictures of a contender are: the same native metrics for SAN and for its peers. */

import { imagesFrom, inBlocks } from '../lib/metrics/blocks.js';
import { FeatureExtractor } from '../lib/metrics/features.js';
import { diversity, sharpness } from '../lib/metrics/pixels.js';
import { squaredError } from '../lib/metrics/reversed.js';
import { type Addon, type FeatureBatch, type ImageBatch, loadAddon } from '../lib/native.js';
import type { PreparedImages } from './sets.js';

/** In the order of the table. */
export const VALUE_NAMES = [
  'fd',
  'kid',
  'swd',
  'precision',
  'recall',
  'plain',
  'diversity',
  'sharpness',
  'reconstruction',
] as const;
export type ValueName = (typeof VALUE_NAMES)[number];
/** plain is the share of pictures whose kind the classifier is sure of; the others are those of docs/metrics.md. */
export type Values = Partial<Record<ValueName, number>>;

/** A kind counts as plain from this probability on. */
const SURE = 0.9;
/** Keys the patches, directions and subsets of swd and kid: one for all contenders. */
const SEED = 1;

/** Measures one contender after the other against one set of images. Holds native memory until dispose(). */
export class Measure {
  private readonly addon: Addon;
  private readonly real: ImageBatch;
  private readonly extractors: { features: FeatureExtractor; kinds: FeatureExtractor } | undefined;
  private readonly signal: AbortSignal;
  private realFeatures: FeatureBatch | undefined;

  private constructor(real: ImageBatch, extractors: Measure['extractors'], signal: AbortSignal) {
    this.addon = loadAddon();
    this.real = real;
    this.extractors = extractors;
    this.signal = signal;
  }

  static async open(
    { real, classifier }: PreparedImages,
    { threads, signal }: { threads: number; signal: AbortSignal },
  ): Promise<Measure> {
    if (classifier === undefined) return new Measure(real, undefined, signal);
    const load = (path: string) =>
      FeatureExtractor.load(path, loadAddon(), { threads, extractorRange: '0..255' });
    return new Measure(
      real,
      { features: await load(classifier.features), kinds: await load(classifier.kinds) },
      signal,
    );
  }

  /** @param again What a contender that reconstructs makes of the real images, in their order. */
  async values(fake: ImageBatch, again?: ImageBatch): Promise<Values> {
    const { addon, real } = this;
    const same = Math.min(fake.shape[0], real.shape[0]);
    const levels = await addon.slicedWasserstein({
      real: imagesFrom(real, 0, same),
      fake: imagesFrom(fake, 0, same),
      seed: SEED,
    });
    return {
      ...(await this.ofFeatures(fake)),
      swd: levels.reduce((sum, { distance }) => sum + distance, 0) / levels.length,
      diversity: diversity(fake, real),
      sharpness: sharpness(fake, real),
      ...(again && { reconstruction: squaredError(again.data, real.data) / (real.data.length * 127.5 ** 2) }),
    };
  }

  async dispose(): Promise<void> {
    await this.extractors?.features.dispose();
    await this.extractors?.kinds.dispose();
  }

  private async ofFeatures(fake: ImageBatch): Promise<Values> {
    const { addon, extractors } = this;
    if (extractors === undefined) return {};
    this.realFeatures ??= await this.rows(extractors.features, this.real);
    const batches = { real: this.realFeatures, fake: await this.rows(extractors.features, fake) };
    const kinds = await this.rows(extractors.kinds, fake);
    return {
      fd: await addon.frechetDistance(batches),
      kid: await addon.kernelDistance({ ...batches, seed: SEED }),
      ...(await addon.precisionRecall(batches)),
      plain: shareOfSure(kinds),
    };
  }

  private async rows(extractor: FeatureExtractor, images: ImageBatch): Promise<FeatureBatch> {
    const collected = extractor.collect(images.shape[0]);
    await inBlocks('features', images.shape, { signal: this.signal }, async (start, count) => {
      collected.add(await extractor.features(imagesFrom(images, start, count)));
    });
    return collected.batch();
  }
}

/** Of rows of probabilities. */
export function shareOfSure({ data, shape: [count, kinds] }: FeatureBatch): number {
  let sure = 0;
  for (let i = 0; i < count; i++) {
    if (data.subarray(i * kinds, (i + 1) * kinds).some((p) => p >= SURE)) sure++;
  }
  return sure / count;
}
