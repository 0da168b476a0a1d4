/** How unlike its training images an image is: docs/reverser.md has the formulas, and why. */
import { SanError } from '../errors.js';
import type { ImageBatch, LatentBatch } from '../native.js';
import { shown } from '../shown.js';
import { details, pixelErrors } from './pixel-error.js';

/** What is measured of an image. */
export interface ImageMeasures {
  /** Mean squared difference of G(R(x)) to x, pixels from -1 to 1: 0 to 4. */
  pixelError: number;
  /** The same, relative to how busy the image is. */
  relativeError: number;
  /** Length of R(x) over the root of its D numbers: about 1 for training images. */
  latentNorm: number;
}

export interface ImageScore extends ImageMeasures {
  /** Standard deviations above what is usual among the reference's images: 0 for one that is nothing unusual. */
  score: number;
}

/** Mean and standard deviation of a logarithm. */
export interface LogStatistics {
  mean: number;
  deviation: number;
}

/** What is usual: statistics of the training images, or of others that are as they should be. */
export interface ScoreReference {
  pixelError: LogStatistics;
  relativeError: LogStatistics;
  /** Images behind them. */
  count: number;
}

/** Added to the detail of an image, so that one even colour has a relative error as well. */
const LEAST_DETAIL = 1e-3;
/** Added to errors before the logarithm: less than any image has. */
const LEAST_ERROR = 1e-6;
/** Where all images are alike, so that another one still has a finite score. */
const LEAST_DEVIATION = 1e-3;

/** Of images, their latents R(x) and what the generator makes of those. */
export function imageMeasures(images: ImageBatch, latents: LatentBatch, again: ImageBatch): ImageMeasures[] {
  const errors = pixelErrors(images, again);
  const detail = details(images);
  const width = latents.data.length / latents.shape[0];
  return Array.from(errors, (pixelError, i) => {
    const z = latents.data.subarray(i * width, (i + 1) * width);
    const latentNorm = Math.sqrt(z.reduce((sum, value) => sum + value * value, 0) / width);
    return { pixelError, relativeError: pixelError / ((detail[i] as number) + LEAST_DETAIL), latentNorm };
  });
}

export function imageScores(
  images: ImageBatch,
  latents: LatentBatch,
  again: ImageBatch,
  reference: ScoreReference,
): ImageScore[] {
  return imageMeasures(images, latents, again).map((measures) => {
    const { pixelError, relativeError } = measures;
    const score = Math.hypot(
      excess(pixelError, reference.pixelError),
      excess(relativeError, reference.relativeError),
    );
    return { score, ...measures };
  });
}

/** Throws ERR_SAN_OPTIONS for what is no ScoreReference: its numbers would make any score. */
export function requireReference(reference: unknown): asserts reference is ScoreReference {
  const { pixelError, relativeError } = (reference ?? {}) as Partial<ScoreReference>;
  const usable = [pixelError, relativeError].every(
    (statistics) => Number.isFinite(statistics?.mean) && (statistics?.deviation as number) > 0,
  );
  if (usable) return;
  const message = `reference = ${shown(reference)}: expected what \`await scoreReference(san, { data: 'photos' })\` gives`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field: 'reference', value: reference });
}

/** Of at least one image. */
export function referenceOf(measures: readonly ImageMeasures[]): ScoreReference {
  return {
    pixelError: logStatistics(measures.map(({ pixelError }) => pixelError)),
    relativeError: logStatistics(measures.map(({ relativeError }) => relativeError)),
    count: measures.length,
  };
}

const logOf = (value: number): number => Math.log(value + LEAST_ERROR);

/** Standard deviations above the mean, if any. */
const excess = (value: number, { mean, deviation }: LogStatistics): number =>
  Math.max(0, (logOf(value) - mean) / deviation);

function logStatistics(values: readonly number[]): LogStatistics {
  const logs = values.map(logOf);
  const mean = logs.reduce((a, b) => a + b, 0) / logs.length;
  const variance = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / logs.length;
  return { mean, deviation: Math.max(LEAST_DEVIATION, Math.sqrt(variance)) };
}
