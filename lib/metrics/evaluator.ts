/** Measures networks against one set of images, again and again as they are trained. */
import { cacheFolder as defaultCacheFolder } from '../cache-folder.js';
import { METRIC_NAMES, type MetricName } from '../config/schema.js';
import { spread } from '../generation/grid.js';
import type { Addon, FeatureBatch, ImageBatch } from '../native.js';

import type { MeasureControl } from './blocks.js';
import {
  type MetricConfig,
  needsExtractor,
  PIXEL_METRICS,
  requireEnoughImages,
  requireMeasurable,
} from './catalogue.js';
import { FeatureExtractor } from './features.js';
import { isOfGenerated, measureGenerated } from './generated.js';
import { isOfReversed, measureReversed } from './reversed.js';
import type { MetricValues, Sampler } from './sampler.js';

export interface EvaluatorOptions extends MeasureControl {
  addon: Addon;
  /** Real images, 8-bit [N, S, S, C]; of more than metricCount only those that are measured are kept. */
  images: ImageBatch;
  /** SHA-256 of all images of the data: PreparedSet.hash. */
  dataHash: string;
  config: MetricConfig;
  /** san-native's cache folder; default the user's own. */
  cacheFolder?: string | undefined;
}

/**
 * Made once for a run: it chooses up to metricCount real images, evenly spread over those given, loads the extractor and
 * takes the real images' features, or finds them in the cache. The generated images are metricCount (where only pixels are compared, as many as there are real ones) from index 2^32 of the settings' seed on: the same latents each time, and none that a sample
 * grid shows. Holds native memory until dispose() when there is an extractor.
 */
export class Evaluator {
  /** Real images that are measured. */
  readonly realCount: number;
  /** Images generated for it each time: 0 where no metric looks at them. */
  readonly generatedCount: number;
  private readonly addon: Addon;
  private readonly config: MetricConfig;
  private readonly real: ImageBatch;
  private readonly wanted: ReadonlySet<MetricName>;
  private readonly compared: { extractor: FeatureExtractor; real: FeatureBatch } | undefined;

  private constructor(
    { addon, config }: EvaluatorOptions,
    real: ImageBatch,
    compared: Evaluator['compared'],
  ) {
    this.addon = addon;
    this.config = config;
    this.real = real;
    this.realCount = real.shape[0];
    this.wanted = new Set(config.metrics);
    this.generatedCount = compared
      ? config.metricCount
      : [...this.wanted].some((name) => PIXEL_METRICS.has(name))
        ? this.realCount
        : 0;
    this.compared = compared;
  }

  /**
   * Throws ConfigError for metrics that cannot be had with these settings or images, or an extractor that cannot be
   * read; ERR_SAN_EXTRACTOR for one that does not work on the images.
   */
  static async create(options: EvaluatorOptions): Promise<Evaluator> {
    const { addon, images, dataHash, config, cacheFolder = defaultCacheFolder() } = options;
    const { metrics, metricCount, extractor: path } = config;
    requireMeasurable(config);
    requireEnoughImages(config, images.shape[0]);
    const real = spread(images, metricCount);
    if (path === undefined || !metrics.some(needsExtractor)) return new Evaluator(options, real, undefined);
    const extractor = await FeatureExtractor.load(path, addon, config);
    try {
      const features = await extractor.realFeatures(real, dataHash, cacheFolder, options);
      return new Evaluator(options, real, { extractor, real: features });
    } catch (error) {
      await extractor.dispose();
      throw error;
    }
  }

  /**
   * Measures a model as it is now. Rejects with the signal's reason after an abort; whatever the model and the addon
   * throw passes through.
   */
  async evaluate(model: Sampler, control: MeasureControl = {}): Promise<MetricValues> {
    const { addon, config, real, wanted, compared, generatedCount: count } = this;
    const { seed } = config;
    const some = (belongs: (name: MetricName) => boolean) => [...wanted].some(belongs);
    const values: MetricValues = {
      ...(some(isOfReversed) && (await measureReversed({ addon, model, real, wanted }, control))),
      ...(some(isOfGenerated) &&
        (await measureGenerated({ addon, model, real, wanted, seed, count, compared }, control))),
    };
    // In one order, whatever order they were asked for in; some come in pairs of which one was not.
    return Object.fromEntries(
      METRIC_NAMES.flatMap((name) => (wanted.has(name) ? [[name, values[name]]] : [])),
    );
  }

  /** Frees the extractor. Idempotent. */
  async dispose(): Promise<void> {
    await this.compared?.extractor.dispose();
  }
}
