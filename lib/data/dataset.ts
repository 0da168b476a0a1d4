/** From anything that holds images to a set that is ready for training. */
import { DataError } from '../errors.js';
import type { ImageFormat } from './decode.js';
import { type CacheControl, cachedSet } from './prepared/cache.js';
import { hashPixels } from './prepared/manifest.js';
import type { PrepareProgress } from './prepared/prepare.js';
import { type PreparedSet, setOf, verifiedManifest } from './prepared/prepared-set.js';
import type { ImageSource } from './source.js';
import { openSource } from './sources/open.js';

export { RowReader, readRows, spreadRows } from './prepared/prepared-set.js';
export type { CacheControl, ImageFormat, PreparedSet, PrepareProgress };

/**
 * The images of `path` in this format, as a .npy file. One that has them already, such as prepare() writes, is used
 * where it lies; any other source is prepared into the cache, where the next call finds it. JavaScript stays free for
 * other work, and memory does not grow with the number of images.
 *
 * Throws DataError: ERR_SAN_DATA_NOT_FOUND when there is nothing at `path`; ERR_SAN_DATA_EMPTY when no image in it can be
 * used; ERR_SAN_DATA_FORMAT for what is no source of images, or damaged as a whole. OutputError when the cache cannot be
 * written. After an abort the signal's reason.
 */
export async function openData(
  path: string,
  { imageSize, imageChannels, background, crop, maxPixels }: ImageFormat,
  control: CacheControl = {},
): Promise<PreparedSet> {
  const format = { imageSize, imageChannels, background, crop, maxPixels };
  const source = await openSource(path, { signal: control.signal, maxPixels });
  return (await inPlace(source, format, control.signal)) ?? cachedSet(source, format, control);
}

/** A .npy file that needs no preparation: its images have the very size and channels. */
async function inPlace(
  source: ImageSource,
  { imageSize, imageChannels }: ImageFormat,
  signal: AbortSignal | undefined,
): Promise<PreparedSet | undefined> {
  const { path, kind, mapped } = source;
  if (mapped === undefined) return undefined;
  const [count, ...image] = mapped.shape;
  if (image.join() !== [imageSize, imageSize, imageChannels].join()) return undefined;
  if (count === 0) throw new DataError('ERR_SAN_DATA_EMPTY', `${path} has no images`, { path });
  const manifest = await verifiedManifest(path, signal);
  // What its images were made of may be gone; they are here.
  if (manifest) return { ...setOf(path, manifest), source: { kind, path } };
  const { offset, shape } = mapped;
  const hash = await hashPixels(path, mapped, signal);
  return { path, shape, offset, hash, skipped: [], source: { kind, path } };
}
