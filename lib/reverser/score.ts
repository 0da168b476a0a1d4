import { access } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Skipped } from '../data/folder.js';
import { expandPattern, isPattern } from '../data/sources/pattern.js';
import { SanError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import type { San } from '../generation/san.js';
import { inUse } from '../generation/uses.js';
import { imagesFrom, inBlocks, MEASURE_KEYS, type MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch } from '../native.js';
import { requireControl, requireKeys, requirePath } from '../options.js';
import { refuseOverInput } from '../output-place.js';
import { recordedData } from '../training/recorded-data.js';
import { csv } from './csv.js';
import { ImageReader } from './images.js';
import { median } from './median.js';
import { requireData } from './options.js';
import { type ImageMeasures, imageMeasures, referenceOf, type ScoreReference } from './scores.js';

export interface ScoreOptions {
  /** Images: anything that train() takes as data, read as the network's training images were. */
  data: string;
  /** The .csv file to write: name, score, pixel_error, relative_error, latent_norm, in the order of the source. */
  out: string;
  /** Images that are as they should be; default the training images, where the run's environment.json says. */
  reference?: string | undefined;
}

export interface Scored {
  out: string;
  count: number;
  /** Median score, and the largest one with its image. */
  median: number;
  largest: { name: string; score: number };
  /** Where the reference's images are, and what is usual among them. */
  reference: ScoreReference & { data: string };
  /** Files of the data that could not be used; they have no row. */
  skipped: readonly Skipped[];
}

/** Images of the reference that are looked at: evenly spread over it. */
const REFERENCE_COUNT = 1000;

/**
 * Writes how unlike the training images each image of a source is, as a table.
 * Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED, DataError, OutputError; after an abort the signal's reason.
 */
export async function scoreImages(
  san: San,
  options: ScoreOptions,
  control: MeasureControl = {},
): Promise<Scored> {
  requireControl(control, MEASURE_KEYS);
  return inUse(san, (inner) => score(inner, options, control));
}

async function score(san: San, options: ScoreOptions, control: MeasureControl): Promise<Scored> {
  requireKeys(options, ['data', 'out', 'reference']);
  const { data, out } = options;
  requirePath('data', data);
  requirePath('out', out, '.csv');
  if (options.reference !== undefined) requirePath('reference', options.reference);
  await refuseOverInput(out, data, 'out');
  const from = options.reference ?? (await trainingData(san.path));
  await refuseOverInput(out, from, 'out');
  await ensureFolder(dirname(out));
  await using reader = await ImageReader.open(data, san.config, control);
  const reference = await scoreReference(san, { data: from }, control);
  const rows: [string, ...number[]][] = [];
  const scores: number[] = [];
  let largest = { name: '', score: -1 };
  for await (const { images, names } of reader.batches('scoring')) {
    for (const [i, { score, ...rest }] of (await san.score(images, reference)).entries()) {
      const name = names[i] as string;
      rows.push([
        name,
        ...[score, rest.pixelError, rest.relativeError, rest.latentNorm].map((value) =>
          Number(value.toPrecision(6)),
        ),
      ]);
      scores.push(score);
      if (score > largest.score) largest = { name, score };
    }
  }
  const head = ['name', 'score', 'pixel_error', 'relative_error', 'latent_norm'];
  await writeFileAtomic(out, [csv([head, ...rows])]);
  return {
    out,
    count: rows.length,
    median: median(scores),
    largest,
    reference: { ...reference, data: from },
    skipped: reader.skipped,
  };
}

/**
 * What is usual among images that are as they should be, for San.score(): of up to 1,000, evenly spread over the data, which
 * is anything that train() takes, or images in memory [N, S, S, C] of the network's size.
 * Throws ERR_SAN_OPTIONS, ERR_SAN_SHAPE, ERR_SAN_DISPOSED, DataError; after an abort the signal's reason.
 */
export async function scoreReference(
  san: San,
  options: { data: string | ImageBatch },
  control: MeasureControl = {},
): Promise<ScoreReference> {
  requireControl(control, MEASURE_KEYS);
  return inUse(san, (inner) => measureReference(inner, options, control));
}

async function measureReference(
  san: San,
  options: { data: string | ImageBatch },
  control: MeasureControl,
): Promise<ScoreReference> {
  requireKeys(options, ['data']);
  requireData(options.data, san.config);
  await using reader = await ImageReader.open(options.data, san.config, control);
  const { images } = await reader.spread(REFERENCE_COUNT);
  const measures: ImageMeasures[] = [];
  await inBlocks('measuring the reference', images.shape, control, async (start, count) => {
    const block = imagesFrom(images, start, count);
    const latents = await san.reverse(block);
    measures.push(...imageMeasures(block, latents, await san.decode(latents)));
  });
  if (measures.length < 2)
    throw new SanError(
      'ERR_SAN_OPTIONS',
      'the reference is one image, which has no spread to hold others against; it takes at least 2 images',
      { field: 'data' },
    );
  return referenceOf(measures);
}

/** The training images of the run that a checkpoint lies in, as the latest session named them. */
async function trainingData(checkpoint: string): Promise<string> {
  const fail = (reason: string): never => {
    const message = `${reason}; name images that are as they should be, such as the training images, with --reference (in the API reference)`;
    throw new SanError('ERR_SAN_OPTIONS', message, { field: 'reference' });
  };
  const folder = dirname(checkpoint);
  if (basename(folder) !== 'checkpoints') return fail(`${checkpoint} is not in a run folder`);
  const path = await recordedData(checkpoint);
  if (path === undefined) return fail(`${dirname(folder)} does not say what it was trained on`);
  // A pattern is no file itself; which of its files are missing is for those to say who open them.
  const files = isPattern(path) ? await expandPattern(path).catch(() => []) : [];
  const places = [path, ...files.map((file) => file.path)];
  await Promise.any(places.map((place) => access(place))).catch(() =>
    fail(`the training images are no longer at ${path}`),
  );
  return path;
}
