import { dirname } from 'node:path';
import type { Skipped } from '../data/folder.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { requireWhole } from '../generation/checks.js';
import { encodeGrid } from '../generation/grid.js';
import type { San } from '../generation/san.js';
import type { MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch } from '../native.js';
import { ImageReader } from './images.js';
import { type Neighbor, nearest } from './nearest.js';
import { requireKeys, requirePath } from './options.js';
import { pixelErrors } from './pixel-error.js';

export interface NeighborsOptions {
  /** The training images, or others: anything that train() takes as data. */
  data: string;
  /** The .png file to write: in each row a generated image, then its nearest real ones. */
  out: string;
  /** Generated images. Default 8. */
  count?: number | undefined;
  /** They are images startIndex … startIndex + count - 1 of this seed. Defaults 1 and 0. */
  seed?: number | undefined;
  startIndex?: number | undefined;
  /** Real images beside each. Default 6. */
  neighbors?: number | undefined;
}

/** A real image near another one. */
export interface FoundNeighbor {
  name: string;
  /** Root mean square of the differences of the latents' numbers: about 1.4 between two draws of the prior. */
  latentDistance: number;
  /** The same of pixels from -1 to 1. */
  pixelDistance: number;
}

export interface GeneratedNeighbors {
  index: number;
  /** Nearest first. */
  neighbors: FoundNeighbor[];
  /**
   * Share of real images whose nearest neighbour is nearer than this one's, 0 to 1: in latents, and in pixels among the
   * neighbours that were found. Near 0 means nearer to a real image than these are to one another: a copy.
   */
  latentRank: number;
  pixelRank: number;
}

export interface Neighborhood {
  out: string;
  seed: number;
  samples: GeneratedNeighbors[];
  /** The same distances among real images: of up to 500, spread over the data, to the nearest other one. */
  real: { count: number; latentDistance: Spread; pixelDistance: Spread };
  /** Real images compared with. */
  dataCount: number;
  /** Files of the data that could not be used. */
  skipped: readonly Skipped[];
}

export interface Spread {
  smallest: number;
  /** One in a hundred is smaller. */
  percent1: number;
  median: number;
}

/** Real images whose nearest other one is looked for. */
const COMPARED = 500;

/**
 * Finds the real images nearest to generated ones, and says how near that is among real images: does the network copy?
 * The latents are what the reverser makes of both, so that both are measured alike.
 *
 * Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED, DataError, OutputError; after an abort the signal's reason.
 */
export async function findNeighbors(
  san: San,
  options: NeighborsOptions,
  control: MeasureControl = {},
): Promise<Neighborhood> {
  requireKeys(options, ['data', 'out', 'count', 'seed', 'startIndex', 'neighbors']);
  const { data, out, count = 8, seed = 1, startIndex = 0, neighbors = 6 } = options;
  requirePath('data', data);
  requirePath('out', out, '.png');
  requireWhole('neighbors', neighbors, 1);
  await ensureFolder(dirname(out));
  const samples = await san.generate({ seed, startIndex, count });
  const latents = await san.reverse(samples);
  const reader = await ImageReader.open(data, san.config, control);
  const real = await reverseAll(san, reader);
  const { signal } = control;
  const found = await nearest(latents.data, real.latents, { width: real.width, count: neighbors, signal });
  const { images, distances } = await inPixels(reader, real.names, samples, found);
  const among = await amongReal(reader, real, neighbors, control);
  const ranked = found.map((row, i): GeneratedNeighbors => {
    const list = row.map(({ index, distance }, k) => ({
      name: real.names[index] as string,
      latentDistance: distance,
      pixelDistance: distances[i]?.[k] as number,
    }));
    return {
      index: startIndex + i,
      neighbors: list,
      latentRank: shareBelow(among.latent, list[0]?.latentDistance as number),
      pixelRank: shareBelow(among.pixel, Math.min(...list.map(({ pixelDistance }) => pixelDistance))),
    };
  });
  const sheet = await encodeGrid(images, { columns: images.shape[0] / count });
  await writeFileAtomic(out, [sheet]);
  return {
    out,
    seed,
    samples: ranked,
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
  const count = names.length > 1 ? Math.min(COMPARED, names.length) : 0;
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
  if (count === 0) return { latent: [], pixel: [] };
  const { images } = await reader.pick(compared.map((row) => names[row] as string));
  const { distances } = await inPixels(reader, names, images, found);
  return {
    latent: found.map(([neighbor]) => neighbor?.distance as number),
    pixel: distances.map((row) => Math.min(...row)),
  };
}

/** Each query followed by its neighbours, and their distances in pixels. */
async function inPixels(
  reader: ImageReader,
  names: readonly string[],
  queries: ImageBatch,
  found: readonly Neighbor[][],
): Promise<{ images: ImageBatch; distances: number[][] }> {
  const wanted = [...new Set(found.flat().map(({ index }) => names[index] as string))];
  const { images: picked } = await reader.pick(wanted);
  const places = new Map(wanted.map((name, i) => [name, i]));
  const columns = 1 + (found[0]?.length ?? 0);
  const [count, ...item] = queries.shape;
  const size = queries.data.length / count;
  const data = new Uint8Array(count * columns * size);
  const first = new Uint8Array(data.length);
  for (const [i, row] of found.entries()) {
    const query = queries.data.subarray(i * size, (i + 1) * size);
    const at = (k: number) => (i * columns + k) * size;
    for (let k = 0; k < columns; k++) first.set(query, at(k));
    data.set(query, at(0));
    for (const [k, { index }] of row.entries()) {
      const place = places.get(names[index] as string) as number;
      data.set(picked.data.subarray(place * size, (place + 1) * size), at(k + 1));
    }
  }
  const shape: ImageBatch['shape'] = [count * columns, ...item];
  const errors = pixelErrors({ data, shape }, { data: first, shape });
  const distances = found.map((row, i) =>
    row.map((_, k) => Math.sqrt(errors[i * columns + k + 1] as number)),
  );
  return { images: { data, shape }, distances };
}

const shareBelow = (values: readonly number[], limit: number): number =>
  values.length === 0 ? 0 : values.filter((value) => value < limit).length / values.length;

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * sorted.length)] ?? Number.NaN;
  return { smallest: at(0), percent1: at(0.01), median: at(0.5) };
}
