/** Which metrics there are, what each asks for, and the checks of that. docs/metrics.md has their formulas. */
import { suggestion } from '../config/nearest.js';
import {
  type Config,
  LEAST_SIZE_OF_SWD,
  METRIC_NAMES,
  type MetricName,
  OF_FEATURES,
} from '../config/schema.js';
import { ConfigError } from '../errors.js';

/** The settings that an evaluation goes by. */
export type MetricConfig = Pick<
  Config,
  | 'imageSize'
  | 'metrics'
  | 'metricCount'
  | 'extractor'
  | 'extractorSize'
  | 'extractorRange'
  | 'seed'
  | 'threads'
>;

/** Fewest images, of either kind, that each metric is defined for; the third neighbour takes four of them. */
const FEWEST: Record<MetricName, number> = {
  swd: 1,
  diversity: 2,
  sharpness: 1,
  reconstruction: 1,
  latentMean: 2,
  latentVariance: 2,
  latentCovariance: 2,
  fd: 2,
  kid: 2,
  precision: 4,
  recall: 4,
};

/** Metrics that look at the generated images' pixels, of as many as there are real ones. */
export const PIXEL_METRICS: ReadonlySet<MetricName> = new Set(['swd', 'diversity', 'sharpness']);
/** Whether a metric compares features, which an extractor gives. */
export const needsExtractor = (name: MetricName): boolean => OF_FEATURES.has(name);

/** The metrics that can be had: all but those that want larger images or an extractor. */
export const measurable = ({ imageSize, extractor }: Pick<Config, 'imageSize' | 'extractor'>): MetricName[] =>
  METRIC_NAMES.filter(
    (name) =>
      !(name === 'swd' && imageSize < LEAST_SIZE_OF_SWD) &&
      !(needsExtractor(name) && extractor === undefined),
  );

/**
 * Checks that what is to be measured can be had with these settings; needs no images, so it can go before they are
 * read. Throws ConfigError naming both settings that disagree.
 */
export function requireMeasurable(config: Pick<Config, 'imageSize' | 'metrics' | 'extractor'>): void {
  const { imageSize, metrics, extractor } = config;
  const fail = (message: string) => {
    throw new ConfigError(message, { field: 'metrics', value: metrics });
  };
  if (metrics.includes('swd') && imageSize < LEAST_SIZE_OF_SWD) {
    fail(
      `metrics = swd with imageSize = ${imageSize}: swd is for images of at least ${LEAST_SIZE_OF_SWD} pixels; leave it out of metrics`,
    );
  }
  const compared = metrics.filter(needsExtractor);
  if (extractor === undefined && compared.length > 0) {
    fail(
      `metrics = ${compared.join(',')} without extractor: these compare features; set extractor to a TorchScript file such as inception-2015-12-05.pt, or leave them out of metrics`,
    );
  }
}

/**
 * Throws ConfigError when a metric is not defined for so few images: metricCount, which the caller may have under another
 * name, or the data's `available` ones.
 */
export function requireEnoughImages(
  { metrics, metricCount }: Pick<Config, 'metrics' | 'metricCount'>,
  available: number,
  nameOfCount = 'metricCount',
): void {
  const count = Math.min(metricCount, available);
  const name = metrics.find((name) => count < FEWEST[name]);
  if (name === undefined) return;
  const [what, remedy] =
    metricCount <= available
      ? [`${nameOfCount} = ${metricCount}`, `raise ${nameOfCount}`]
      : [`the data's image count of ${available}`, 'add images'];
  throw new ConfigError(
    `metrics = ${name} with ${what}: it takes at least ${FEWEST[name]} images; ${remedy}, or leave it out of metrics`,
    { field: 'metrics', value: metrics },
  );
}

/** Throws ConfigError unless `names` is a list of metrics, at least one; an unknown one gets its nearest. */
export function requireMetricNames(names: unknown): asserts names is MetricName[] {
  const fail = (message: string) => {
    throw new ConfigError(message, { field: 'metrics', value: names });
  };
  const all = METRIC_NAMES.join(', ');
  if (!Array.isArray(names) || names.length === 0) {
    return fail(`metrics must be a list of one or more of ${all}`);
  }
  const unknown = names.find((name) => !METRIC_NAMES.includes(name));
  if (unknown === undefined && !names.includes(undefined)) return;
  fail(
    `metrics = ${JSON.stringify(unknown)}: there is no such metric, only ${all}${suggestion(String(unknown), METRIC_NAMES)}`,
  );
}
