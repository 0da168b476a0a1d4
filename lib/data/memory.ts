import { DataError } from '../errors.js';
import type { ImageFormat } from './decode.js';

/**
 * Memory for `count` images of `path`, zeroed; pages are taken from the system only as they are written to. Throws
 * DataError ERR_SAN_OUT_OF_MEMORY, also when the count is more than an array can have.
 */
export function allocateImages(path: string, count: number, format: ImageFormat): Uint8Array<ArrayBuffer> {
  const { imageSize, imageChannels } = format;
  const bytes = count * imageSize * imageSize * imageChannels;
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const each = `${imageSize}×${imageSize}×${imageChannels}`;
    throw new DataError(
      'ERR_SAN_OUT_OF_MEMORY',
      `${count} images of ${each} bytes from ${path} need ${(bytes / 1e9).toFixed(1)} GB, more than one array can have here; lower imageSize or use fewer images`,
      { path },
      { cause: error },
    );
  }
}
