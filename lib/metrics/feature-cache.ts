/**
 * Features of real images on disk: `features/KEY.safetensors` in the cache folder, one tensor under a checksum. Such a
 * file only saves time. One that is damaged, or that is not what its name says, counts as missing and is replaced.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CHECKSUM_KEY, isSealed, seal, UNSEALED } from '../checkpoint/checksum.js';
import { encodeSafetensors, readSafetensors } from '../checkpoint/safetensors.js';
import { CheckpointError, OutputError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import type { FeatureBatch } from '../native.js';

const FORMAT = 'san-native-features';
const VERSION = '1';
const TENSOR = 'features';

/** SHA-256 in hexadecimal over all that the features depend on. */
export const cacheKey = (parts: readonly string[]): string =>
  createHash('sha256')
    .update(JSON.stringify([FORMAT, VERSION, ...parts]))
    .digest('hex');

const folderOf = (cacheFolder: string): string => join(cacheFolder, 'features');
const fileOf = (cacheFolder: string, key: string): string =>
  join(folderOf(cacheFolder), `${key}.safetensors`);

/** Features [count, D] that were stored under `key`; undefined when there are none that can be trusted. */
export async function readFeatures(
  cacheFolder: string,
  key: string,
  count: number,
): Promise<FeatureBatch | undefined> {
  const file = await readSafetensors(fileOf(cacheFolder, key)).catch((error: unknown) => {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  const { metadata, tensors, header } = file;
  const [tensor] = tensors;
  // The key is in the file as well, for files can be renamed.
  if (metadata.format !== FORMAT || metadata.version !== VERSION || metadata.key !== key) return undefined;
  if (tensors.length !== 1 || tensor?.name !== TENSOR || tensor.dtype !== 'float32') return undefined;
  const [rows, dimensions = 0] = tensor.shape;
  if (tensor.shape.length !== 2 || rows !== count || dimensions === 0) return undefined;
  const { data } = tensor;
  if (!(await isSealed(header, [data], metadata[CHECKSUM_KEY] ?? ''))) return undefined;
  return {
    data: new Float32Array(data.buffer, data.byteOffset, count * dimensions),
    shape: [count, dimensions],
  };
}

/** Stores features under `key`, or leaves it when the folder cannot be written to. */
export async function writeFeatures(cacheFolder: string, key: string, features: FeatureBatch): Promise<void> {
  const { buffer, byteOffset, byteLength } = features.data;
  const data = new Uint8Array(buffer, byteOffset, byteLength);
  const [header, ...chunks] = encodeSafetensors(
    [{ name: TENSOR, dtype: 'float32', shape: features.shape, data }],
    { format: FORMAT, version: VERSION, key, [CHECKSUM_KEY]: UNSEALED },
  );
  await seal(header, chunks);
  try {
    await ensureFolder(folderOf(cacheFolder));
    await writeFileAtomic(fileOf(cacheFolder, key), [header, ...chunks]);
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
  }
}
