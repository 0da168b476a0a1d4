import { dirname } from 'node:path';
import type { Skipped } from '../data/folder.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import type { San } from '../generation/san.js';
import { inUse } from '../generation/uses.js';
import { MEASURE_KEYS, type MeasureControl } from '../metrics/blocks.js';
import { requireControl, requireKeys, requirePath } from '../options.js';
import { refuseOverInput } from '../output-place.js';
import { csv } from './csv.js';
import { ImageReader } from './images.js';
import { float32Header } from './npy.js';

export interface ReverseOptions {
  /** Images: anything that train() takes as data, read as the network's training images were. */
  data: string;
  /** The .npy file to write: float32 (N, Zc, Sz, Sz), in the order of the source. */
  out: string;
  /** A .csv file to write: row and name of each image. */
  names?: string | undefined;
}

export interface Reversed {
  out: string;
  names?: string | undefined;
  shape: [number, number, number, number];
  /** Files of the data that could not be used; they have no row. */
  skipped: readonly Skipped[];
}

/**
 * Writes the latents of all images of a source: what the reverser makes of them (spec section 4). They are held in
 * memory until the end: 256 bytes an image with a latent of 64 numbers.
 *
 * Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED, DataError, OutputError; after an abort the signal's reason.
 */
export async function reverseImages(
  san: San,
  options: ReverseOptions,
  control: MeasureControl = {},
): Promise<Reversed> {
  requireControl(control, MEASURE_KEYS);
  return inUse(san, (inner) => reverse(inner, options, control));
}

async function reverse(san: San, options: ReverseOptions, control: MeasureControl): Promise<Reversed> {
  requireKeys(options, ['data', 'out', 'names']);
  const { data, out, names } = options;
  requirePath('data', data);
  requirePath('out', out, '.npy');
  if (names !== undefined) requirePath('names', names, '.csv');
  await refuseOverInput(out, data, 'out');
  if (names !== undefined) await refuseOverInput(names, data, 'names');
  for (const path of [out, names]) if (path !== undefined) await ensureFolder(dirname(path));
  await using reader = await ImageReader.open(data, san.config, control);
  const blocks: Float32Array[] = [];
  const rows: [number, string][] = [];
  for await (const batch of reader.batches('reversing')) {
    blocks.push((await san.reverse(batch.images)).data);
    for (const name of batch.names) rows.push([rows.length, name]);
  }
  const { latentChannels, latentSize } = san.config;
  const shape: Reversed['shape'] = [rows.length, latentChannels, latentSize, latentSize];
  await writeFileAtomic(out, [
    float32Header(shape),
    ...blocks.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)),
  ]);
  if (names !== undefined) await writeFileAtomic(names, [csv([['row', 'name'], ...rows])]);
  return { out, ...(names !== undefined && { names }), shape, skipped: reader.skipped };
}
