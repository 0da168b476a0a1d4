/** Checks of options that the functions of the reverser have in common. */
import type { Config } from '../config/schema.js';
import { requireBatch } from '../generation/checks.js';
import type { ImageBatch } from '../native.js';
import { requirePath } from '../options.js';

/** Throws ERR_SAN_OPTIONS unless `data` is a path or images in memory; ERR_SAN_SHAPE for such as are not the network's. */
export function requireData(data: unknown, config: Config): asserts data is string | ImageBatch {
  if (typeof data !== 'object' || data === null) return requirePath('data', data);
  const { imageSize, imageChannels } = config;
  requireBatch('data', data as ImageBatch, Uint8Array, [imageSize, imageSize, imageChannels]);
}
