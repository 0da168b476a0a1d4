/** The real images whose latents are nearest to those of others, and how near real images are to one another. */
import type { Skipped } from '../data/folder.js';
import { DataError } from '../errors.js';
import { requireBatch } from '../generation/checks.js';
import type { San } from '../generation/san.js';
import { MEASURE_KEYS, type MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch } from '../native.js';
import { requireControl, requireKeys, requireWhole } from '../options.js';
import { ImageReader } from './images.js';
import { median } from './median.js';
import { type Neighbor, nearest } from './nearest.js';
import { requireData } from './options.js';
import { pixelError } from './pixel-error.js';

export interface NearestImagesOptions {
  /** The training images, or others: anything that train() takes as data, or images in memory [N, S, S, C]. */
  data: string | ImageBatch;
  /** Real images for each sample: 1 or more. Default 6. */
  neighbors?: number | undefined;
}

/** A real image near another one. */
export interface FoundNeighbor {
  /** Its place in the data; files that could not be used do not count. */
  index: number;
  name: string;
  /** Root mean square of the differences of the latents' numbers: about 1.4 between two draws of the prior. */
  latentDistance: number;
  /** The same of pixels from -1 to 1. */
  pixelDistance: number;
}

export interface ImageNeighbors {
  /** Nearest first; fewer than asked for where the data has no more. */
  neighbors: FoundNeighbor[];
  /**
   * Share of real images whose nearest neighbour is nearer than this one's, 0 to 1: in latents, and in pixels among the
   * neighbours that were found. Near 0 means nearer to a real image than these are to one another: a copy.
   */
  latentRank: number;
  pixelRank: number;
}

export interface AmongReal {
  /** The same distances among real images: of up to 500, spread over the data, to the nearest other one. */
  real: { count: number; latentDistance: Spread; pixelDistance: Spread };
  /** Real images compared with. */
  dataCount: number;
  /** Files of the data that could not be used. */
  skipped: readonly Skipped[];
}

export interface NearestImages extends AmongReal {
  /** In the order of the images that were asked about. */
  samples: ImageNeighbors[];
  /** The neighbours themselves, those of the first sample before those of the second: [N * neighbours, S, S, C]. */
  images: ImageBatch;
}

export interface Spread {
  smallest: number;
  /** One in a hundred is smaller. */
  percent1: number;
  median: number;
}

/** Real images whose nearest other one is looked for. */
const COMPARED = 500;

/** Throws DataError where no real image has another one to be held against: every rank would be that of a copy. */
function requireTwo(count: number): void {
  if (count >= 2) return;
  const message =
    'the data has one usable image, which cannot show how near real images are to one another; it takes at least 2 images';
  throw new DataError('ERR_SAN_DATA_EMPTY', message, { field: 'data' });
}

/** San.neighbors(). */
export async function nearestImages(
  san: San,
  samples: ImageBatch,
  options: NearestImagesOptions,
  control: MeasureControl,
): Promise<NearestImages> {
  requireKeys(options, ['data', 'neighbors']);
  requireControl(control, MEASURE_KEYS);
  const { data, neighbors = 6 } = options;
  const { imageSize, imageChannels } = san.config;
  requireBatch('images', samples, Uint8Array, [imageSize, imageSize, imageChannels]);
  requireData(data, san.config);
  requireWhole('neighbors', neighbors, 1);
  await using reader = await ImageReader.open(data, san.config, control);
  requireTwo(reader.count);
  const real = await reverseAll(san, reader);
  const { signal } = control;
  const latents = await san.reverse(samples);
  const found = await nearest(latents.data, real.latents, { width: real.width, count: neighbors, signal });
  const each = found[0]?.length ?? 0;
  const size = imageSize ** 2 * imageChannels;
  const images = new Uint8Array(found.length * each * size);
  const distances: number[][] = [];
  for (const [i, row] of found.entries()) {
    const near = await inPixels(reader, samples.data.subarray(i * size, (i + 1) * size), row);
    images.set(near.images, i * each * size);
    distances.push(near.distances);
  }
  const among = await amongReal(reader, real, neighbors, control);
  return {
    samples: found.map((row, i): ImageNeighbors => {
      const list = row.map(({ index, distance }, k) => ({
        index,
        name: real.names[index] as string,
        latentDistance: distance,
        pixelDistance: distances[i]?.[k] as number,
      }));
      return {
        neighbors: list,
        latentRank: shareBelow(among.latent, list[0]?.latentDistance as number),
        pixelRank: shareBelow(among.pixel, Math.min(...list.map(({ pixelDistance }) => pixelDistance))),
      };
    }),
    images: { data: images, shape: [found.length * each, imageSize, imageSize, imageChannels] },
    real: {
      count: among.latent.length,
      latentDistance: spreadOf(among.latent),
      pixelDistance: spreadOf(among.pixel),
    },
    dataCount: real.names.length,
    skipped: reader.skipped,
  };
}

interface RealLatents {
  /** [names.length, width]. */
  latents: Float32Array;
  width: number;
  names: string[];
}

async function reverseAll(san: San, reader: ImageReader): Promise<RealLatents> {
  const blocks: Float32Array[] = [];
  const all: string[] = [];
  for await (const { images, names } of reader.batches('reversing real images')) {
    blocks.push((await san.reverse(images)).data);
    all.push(...names);
  }
  const latents = new Float32Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const block of blocks) {
    latents.set(block, offset);
    offset += block.length;
  }
  return { latents, width: latents.length / all.length, names: all };
}

/** Distances of real images to others: to the nearest in latents, and of its neighbours there to the nearest in pixels. */
async function amongReal(
  reader: ImageReader,
  { latents, width, names }: RealLatents,
  neighbors: number,
  control: MeasureControl,
) {
  const count = Math.min(COMPARED, names.length);
  const compared = Array.from({ length: count }, (_, i) => Math.floor((i * names.length) / count));
  const queries = new Float32Array(count * width);
  for (const [i, row] of compared.entries())
    queries.set(latents.subarray(row * width, (row + 1) * width), i * width);
  const found = await nearest(queries, latents, {
    width,
    count: neighbors,
    self: (query) => compared[query] as number,
    signal: control.signal,
    onProgress: (done, total) => control.onProgress?.('comparing real images', done, total),
  });
  const pixel: number[] = [];
  // One after the other: all of their neighbours may be more than fit in memory.
  for (const [i, row] of found.entries()) {
    control.signal?.throwIfAborted();
    const { images } = await reader.at([compared[i] as number]);
    pixel.push(Math.min(...(await inPixels(reader, images.data, row)).distances));
  }
  return { latent: found.map(([neighbor]) => neighbor?.distance as number), pixel };
}

/** The neighbours of an image one after the other, and their distances to it in pixels. */
async function inPixels(
  reader: ImageReader,
  image: Uint8Array,
  neighbors: readonly Neighbor[],
): Promise<{ images: Uint8Array; distances: number[] }> {
  const { images } = await reader.at(neighbors.map(({ index }) => index));
  const { length } = image;
  const distances = neighbors.map((_, k) =>
    Math.sqrt(pixelError(image, images.data.subarray(k * length, (k + 1) * length))),
  );
  return { images: images.data, distances };
}

const shareBelow = (values: readonly number[], limit: number): number =>
  values.filter((value) => value < limit).length / values.length;

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * sorted.length)] ?? Number.NaN;
  return { smallest: at(0), percent1: at(0.01), median: median(sorted) };
}
