/** Checks of options that the functions of the reverser have in common. */
import type { Config } from '../config/schema.js';
import { SanError } from '../errors.js';
import { requireBatch } from '../generation/checks.js';
import type { ImageBatch } from '../native.js';

/** Throws ERR_SAN_OPTIONS unless `value` is a path; with `ending`, such as ".png", one that ends so. */
export function requirePath(field: string, value: unknown, ending = ''): asserts value is string {
  if (typeof value === 'string' && value !== '' && value.toLowerCase().endsWith(ending)) return;
  const expected = ending === '' ? 'a path' : `the path of a ${ending} file`;
  const message = `${field} = ${JSON.stringify(value)}: expected ${expected}`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field, value });
}

/** Throws ERR_SAN_OPTIONS unless `data` is a path or images in memory; ERR_SAN_SHAPE for such as are not the network's. */
export function requireData(data: unknown, config: Config): asserts data is string | ImageBatch {
  if (typeof data !== 'object' || data === null) return requirePath('data', data);
  const { imageSize, imageChannels } = config;
  requireBatch('data', data as ImageBatch, Uint8Array, [imageSize, imageSize, imageChannels]);
}
