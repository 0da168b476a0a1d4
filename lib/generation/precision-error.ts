/** What a lower precision costs. */
import { requireKeys, requireWhole } from '../options.js';
import { requireRange, requireTruncation } from './checks.js';
import { San } from './san.js';
import { inUse } from './uses.js';

export interface PrecisionError {
  /** Mean absolute difference of 8-bit values. */
  levels: number;
  /** Images that were compared. */
  images: number;
}

/** Images that are compared. */
const COMPARED = 8;

/**
 * Mean absolute difference, in levels of 255, of the first images of a set, eight at most, from those that the same
 * checkpoint draws in float32. Loads it a second time for that long.
 *
 * Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED, and CheckpointError when the checkpoint is no longer there or whole.
 */
export async function precisionError(san: San, options: PrecisionErrorOptions): Promise<PrecisionError> {
  return inUse(san, (inner) => errorOf(inner, options));
}

async function errorOf(san: San, options: PrecisionErrorOptions): Promise<PrecisionError> {
  requireKeys(options, ['seed', 'count', 'startIndex', 'truncation', 'device']);
  const { seed, startIndex = 0, count, truncation, device } = options;
  requireWhole('count', count, 1);
  requireRange({ count, seed, startIndex });
  requireTruncation(truncation);
  const set = { seed, startIndex, truncation, count: Math.min(count, COMPARED) };
  const exact = await San.load(san.path, { precision: 'fp32', ...(device !== undefined && { device }) });
  try {
    const [a, b] = await Promise.all([san.generate(set), exact.generate(set)]);
    const sum = a.data.reduce((sum, value, i) => sum + Math.abs(value - (b.data[i] ?? 0)), 0);
    return { levels: sum / a.data.length, images: set.count };
  } finally {
    await exact.dispose();
  }
}

export interface PrecisionErrorOptions {
  seed: number;
  startIndex?: number | undefined;
  count: number;
  truncation?: number | undefined;
  /** Where float32 is computed: names as in San.load(). */
  device?: string | undefined;
}
