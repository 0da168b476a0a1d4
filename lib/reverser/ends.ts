import type { Config } from '../config/schema.js';
import { SanError } from '../errors.js';
import { requireBatch, requireFinite } from '../generation/checks.js';
import type { San } from '../generation/san.js';
import type { ImageBatch, LatentBatch } from '../native.js';
import { requireKeys, requireWhole } from '../options.js';
import { shown } from '../shown.js';
import { readImage } from './images.js';

/**
 * Where a way begins or ends: an image file or an image in memory [1, S, S, C], whose latent the reverser finds; an image
 * that generate() draws; or a latent [1, Zc, Sz, Sz].
 */
export type Endpoint = string | { seed: number; index: number } | ImageBatch | LatentBatch;

const isBatch = (end: object): end is ImageBatch | LatentBatch => 'data' in end;
const isLatent = (end: ImageBatch | LatentBatch): end is LatentBatch => end.data instanceof Float32Array;

/** Throws ERR_SAN_OPTIONS unless `end` is an Endpoint, and ERR_SAN_SHAPE for one in memory that does not suit the network. */
export function requireEndpoint(field: string, end: unknown, config: Config): asserts end is Endpoint {
  if (typeof end === 'string' && end !== '') return;
  if (typeof end !== 'object' || end === null) {
    const message = `${field} = ${shown(end)}: expected an image file, { seed, index }, an image or a latent`;
    throw new SanError('ERR_SAN_OPTIONS', message, { field, value: end });
  }
  if (!isBatch(end)) {
    const { seed, index } = end as { seed?: unknown; index?: unknown };
    requireKeys(end, ['seed', 'index']);
    requireWhole(`${field}.seed`, seed, 0);
    return requireWhole(`${field}.index`, index, 0);
  }
  const { imageSize, imageChannels, latentChannels, latentSize } = config;
  if (isLatent(end)) {
    requireBatch(field, end, Float32Array, [latentChannels, latentSize, latentSize]);
    requireFinite(field, end);
  } else requireBatch(field, end, Uint8Array, [imageSize, imageSize, imageChannels]);
  if (end.shape[0] === 1) return;
  const message = `${field}.shape must begin with 1, is [${end.shape.join(', ')}]: a way has one beginning and one end`;
  throw new SanError('ERR_SAN_SHAPE', message, { field, value: end.shape });
}

/** The latent [1, Zc, Sz, Sz] of an end. Throws DataError for a file. */
export async function latentOf(san: San, end: Endpoint, signal?: AbortSignal): Promise<LatentBatch> {
  if (typeof end === 'string') return san.reverse(await readImage(end, san.config, signal));
  if (!isBatch(end)) return san.latents({ seed: end.seed, startIndex: end.index, count: 1 });
  return isLatent(end) ? end : san.reverse(end);
}
