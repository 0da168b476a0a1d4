import { dirname } from 'node:path';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { encodeGrid } from '../generation/grid.js';
import type { San } from '../generation/san.js';
import { inUse } from '../generation/uses.js';
import { MEASURE_KEYS, type MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch } from '../native.js';
import { requireControl, requireKeys, requirePath, requireWhole } from '../options.js';
import { refuseOverInput } from '../output-place.js';
import {
  type AmongReal,
  type ImageNeighbors,
  type NearestImagesOptions,
  nearestImages,
} from './nearest-images.js';
import { requireData } from './options.js';

export interface NeighborsOptions extends NearestImagesOptions {
  /** The .png file to write: in each row a generated image, then its nearest real ones. */
  out: string;
  /** Generated images. Default 8. */
  count?: number | undefined;
  /** They are images startIndex … startIndex + count - 1 of this seed. Defaults 1 and 0. */
  seed?: number | undefined;
  startIndex?: number | undefined;
}

export interface GeneratedNeighbors extends ImageNeighbors {
  index: number;
}

export interface Neighborhood extends AmongReal {
  out: string;
  seed: number;
  samples: GeneratedNeighbors[];
}

/**
 * Finds the real images nearest to generated ones, and says how near that is among real images: does the network copy?
 * The latents are what the reverser makes of both, so that both are measured alike. San.neighbors() does it for any images
 * and writes no sheet.
 *
 * Throws ERR_SAN_OPTIONS, ERR_SAN_SHAPE, ERR_SAN_DISPOSED, DataError, OutputError; after an abort the signal's reason.
 */
export async function findNeighbors(
  san: San,
  options: NeighborsOptions,
  control: MeasureControl = {},
): Promise<Neighborhood> {
  requireControl(control, MEASURE_KEYS);
  return inUse(san, (inner) => find(inner, options, control));
}

async function find(san: San, options: NeighborsOptions, control: MeasureControl): Promise<Neighborhood> {
  requireKeys(options, ['data', 'out', 'count', 'seed', 'startIndex', 'neighbors']);
  const { data, out, count = 8, seed = 1, startIndex = 0, neighbors = 6 } = options;
  requireData(data, san.config);
  requirePath('out', out, '.png');
  requireWhole('neighbors', neighbors, 1);
  if (typeof data === 'string') await refuseOverInput(out, data, 'out');
  await ensureFolder(dirname(out));
  const generated = await san.generate({ seed, startIndex, count, signal: control.signal });
  const { samples, images, ...among } = await nearestImages(san, generated, { data, neighbors }, control);
  const sheet = before(generated, images);
  await writeFileAtomic(out, [await encodeGrid(sheet, { columns: sheet.shape[0] / count })]);
  return {
    out,
    seed,
    samples: samples.map((sample, i) => ({ index: startIndex + i, ...sample })),
    ...among,
  };
}

/** Each image of `first` before its share of `rest`. */
function before(first: ImageBatch, rest: ImageBatch): ImageBatch {
  const [count, ...item] = first.shape;
  const [size, row] = [first.data.length / count, rest.data.length / count];
  const data = new Uint8Array(first.data.length + rest.data.length);
  for (let i = 0; i < count; i++) {
    data.set(first.data.subarray(i * size, (i + 1) * size), i * (size + row));
    data.set(rest.data.subarray(i * row, (i + 1) * row), i * (size + row) + size);
  }
  return { data, shape: [count + rest.shape[0], ...item] };
}
