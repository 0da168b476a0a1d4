import { dirname } from 'node:path';
import type { Skipped } from '../data/folder.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { encodeGrid, rowOverRow } from '../generation/grid.js';
import type { San } from '../generation/san.js';
import { inUse } from '../generation/uses.js';
import { imagesFrom, inBlocks, MEASURE_KEYS, type MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch } from '../native.js';
import { requireControl, requireKeys, requirePath, requireWhole } from '../options.js';
import { refuseOverInput } from '../output-place.js';
import { ImageReader } from './images.js';
import { pixelErrors } from './pixel-error.js';

export interface ReconstructOptions {
  /** Images: anything that train() takes as data, read as the network's training images were. */
  data: string;
  /** The .png file to write: rows of images, each over the row of their reconstructions. */
  out: string;
  /** Images on the sheet at most, evenly spread over the data. Default 32. */
  count?: number | undefined;
  /** Images in a row. Default 8. */
  columns?: number | undefined;
}

export interface Reconstructed {
  out: string;
  /** Name and pixel error of each image: the mean squared difference of pixels from -1 to 1. */
  images: { name: string; pixelError: number }[];
  meanPixelError: number;
  /** Files of the data that could not be used. */
  skipped: readonly Skipped[];
}

/**
 * Draws images beside what becomes of them by the reverser and then the generator: G(R(x)).
 * Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED, DataError, OutputError; after an abort the signal's reason.
 */
export async function reconstructImages(
  san: San,
  options: ReconstructOptions,
  control: MeasureControl = {},
): Promise<Reconstructed> {
  requireControl(control, MEASURE_KEYS);
  return inUse(san, (inner) => reconstruct(inner, options, control));
}

async function reconstruct(
  san: San,
  options: ReconstructOptions,
  control: MeasureControl,
): Promise<Reconstructed> {
  requireKeys(options, ['data', 'out', 'count', 'columns']);
  const { data, out, count = 32, columns = 8 } = options;
  requirePath('data', data);
  requirePath('out', out, '.png');
  requireWhole('count', count, 1);
  requireWhole('columns', columns, 1);
  await refuseOverInput(out, data, 'out');
  await ensureFolder(dirname(out));
  await using reader = await ImageReader.open(data, san.config, control);
  const { images, names } = await reader.spread(count);
  const again: ImageBatch = { data: new Uint8Array(images.data.length), shape: images.shape };
  const size = images.data.length / names.length;
  await inBlocks('reconstructing', images.shape, control, async (start, length) => {
    again.data.set((await san.reconstruct(imagesFrom(images, start, length))).data, start * size);
  });
  const errors = pixelErrors(images, again);
  const width = Math.min(columns, names.length);
  const sheet = rowOverRow(images, again, width);
  await writeFileAtomic(out, [await encodeGrid(sheet, { columns: width, rowsPerGroup: 2 })]);
  return {
    out,
    images: names.map((name, i) => ({ name, pixelError: errors[i] as number })),
    meanPixelError: errors.reduce((a, b) => a + b, 0) / errors.length,
    skipped: reader.skipped,
  };
}
