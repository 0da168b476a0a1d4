/** What is in a data source, and what training would see of it. */
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { resolveImageFormat } from '../config/resolve.js';
import type { ConfigInput } from '../config/schema.js';
import type { ImageBatch } from '../native.js';
import { requireControl, requireObject, requirePath, requireWhole } from '../options.js';
import { byPath, type Skipped } from './folder.js';
import { inOrder } from './in-order.js';
import { imageKind } from './kind.js';
import { decodersAtOnce, pixelsOf, reasonOf } from './rows.js';
import type { SourceEntry, SourceItem } from './source.js';
import { openSource } from './sources/open.js';

export interface InspectOptions
  extends Pick<ConfigInput, 'imageSize' | 'imageChannels' | 'background' | 'crop' | 'maxPixels'> {
  /** Anything that train() takes as data. */
  source: string;
  /** Images on the contact sheet, evenly spread over the source, 1 to 4096. Default 64. */
  sheetCount?: number | undefined;
}

export interface InspectControl {
  /** After an abort the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called after each entry of the source; `total` where that is known. */
  onProgress?: ((done: number, total?: number) => void) | undefined;
}

/** Numbers of images under each name. */
export type Tally = Record<string, number>;

export interface DataReport {
  source: { kind: string; path: string };
  /** Images that can be used. */
  images: number;
  /** All that cannot, ordered by path. */
  skipped: Skipped[];
  /** Bytes of the images as they lie in the source. */
  bytes: number;
  /** By file format; "pixels" for sources of plain pixels. */
  formats: Tally;
  /** By "width×height" in pixels as seen upright, the commonest first. */
  sizes: Tally;
  /** Smallest and largest, in pixels. */
  width: { min: number; max: number };
  height: { min: number; max: number };
  /** By colour: grey, colour or CMYK. */
  colours: Tally;
  /** Images with an alpha channel. */
  alpha: number;
  /** By class, where the source has classes. */
  labels?: Tally;
  /** Images whose content is that of an earlier one, and the first few of them. */
  duplicates: { count: number; examples: { path: string; of: string }[] };
  /** Mean of each channel, 0 to 255, of the images as training would see them. */
  meanColour: number[];
  /** Mean of all images as training would see them, [1, S, S, C]; absent where there is no image. */
  mean?: ImageBatch;
  /** Some of them, evenly spread, [N, S, S, C]; absent where there is no image. */
  sheet?: ImageBatch;
}

const DEFAULT_SHEET = 64;
/** All of them are in memory. */
const MAX_SHEET = 4096;
const SHOWN_DUPLICATES = 10;
/** Bytes of entries that are in memory, not counting what decoders take. */
const BUDGET = 2 ** 26;

interface Look {
  entry: SourceEntry;
  facts?: Facts;
  pixels?: Uint8Array;
  reason?: string;
}

interface Facts {
  format: string;
  width: number;
  height: number;
  colour: string;
  alpha: boolean;
  bytes: number;
  /** Equal for equal content. */
  digest: string;
}

/**
 * Reads a whole source and decodes every image, as preparing it would, and writes nothing. Memory stays bounded.
 *
 * Throws DataError for what is no source of images, or damaged as a whole; ConfigError; ERR_SAN_OPTIONS.
 */
export async function inspectData(
  options: InspectOptions,
  control: InspectControl = {},
): Promise<DataReport> {
  requireObject(options, '{ source, imageSize }');
  requireControl(control, ['signal', 'onProgress']);
  const { signal, onProgress } = control;
  const { source: path, sheetCount = DEFAULT_SHEET, ...keys } = options;
  requirePath('source', path);
  requireWhole('sheetCount', sheetCount, 1, MAX_SHEET);
  const format = resolveImageFormat(keys);
  const source = await openSource(path, { signal, maxPixels: format.maxPixels });
  const parallel = decodersAtOnce();
  const report = new Report(source.skipped, format.imageSize ** 2 * format.imageChannels, sheetCount);
  const window = { parallel, ahead: 8 * parallel, sizeOf, budget: BUDGET };
  const look = async (entry: SourceEntry): Promise<Look> => {
    try {
      return { entry, pixels: await pixelsOf([entry], format), facts: await factsOf(entry as SourceItem) };
    } catch (error) {
      return { entry, reason: reasonOf(error) };
    }
  };
  for await (const seen of inOrder(source.entries({ signal }), window, look)) {
    signal?.throwIfAborted();
    report.add(seen);
    onProgress?.(seen.entry.index + 1, source.count);
  }
  const shape = [format.imageSize, format.imageSize, format.imageChannels] as const;
  return { source: { kind: source.kind, path }, ...report.result(shape) };
}

const sizeOf = (entry: SourceEntry): number =>
  entry.form === 'encoded' ? entry.bytes.length : entry.form === 'pixels' ? entry.data.length : 0;

async function factsOf(item: SourceItem): Promise<Facts> {
  if (item.form === 'pixels') {
    const { width, height, channels, data } = item;
    const colour = channels === 1 ? 'grey' : 'colour';
    const digest = createHash('sha256')
      .update(`${width}x${height}x${channels}\n`)
      .update(data)
      .digest('base64');
    return { format: 'pixels', width, height, colour, alpha: channels === 4, bytes: data.length, digest };
  }
  const { bytes } = item;
  const { autoOrient, space, channels, hasAlpha } = await sharp(bytes, {
    limitInputPixels: false,
  }).metadata();
  const grey = channels - Number(hasAlpha) === 1;
  return {
    format: imageKind(bytes) ?? '',
    ...autoOrient,
    colour: grey ? 'grey' : space === 'cmyk' ? 'CMYK' : 'colour',
    alpha: hasAlpha,
    bytes: bytes.length,
    digest: createHash('sha256').update(bytes).digest('base64'),
  };
}

/** Gathers what is known of many images in little memory. */
class Report {
  private images = 0;
  private bytes = 0;
  private alpha = 0;
  private readonly skipped: Skipped[];
  private readonly formats = new Map<string, number>();
  private readonly sizes = new Map<string, number>();
  private readonly colours = new Map<string, number>();
  private readonly labels = new Map<string, number>();
  private readonly width = { min: Number.POSITIVE_INFINITY, max: 0 };
  private readonly height = { min: Number.POSITIVE_INFINITY, max: 0 };
  private readonly firsts = new Map<string, string>();
  private readonly duplicates = { count: 0, examples: [] as { path: string; of: string }[] };
  private readonly sum: Float64Array;
  private readonly sample: EvenSample;

  constructor(skipped: readonly Skipped[], imageBytes: number, sheetCount: number) {
    this.skipped = [...skipped];
    this.sum = new Float64Array(imageBytes);
    this.sample = new EvenSample(sheetCount);
  }

  add({ entry, facts, pixels, reason }: Look): void {
    if (facts === undefined || pixels === undefined || entry.form === 'skipped') {
      const path = entry.form === 'skipped' ? entry.path : entry.name;
      this.skipped.push({ path, reason: reason ?? '' });
      return;
    }
    this.images++;
    this.bytes += facts.bytes;
    this.alpha += Number(facts.alpha);
    count(this.formats, facts.format);
    count(this.sizes, `${facts.width}×${facts.height}`);
    count(this.colours, facts.colour);
    if (entry.label !== undefined) count(this.labels, String(entry.label));
    widen(this.width, facts.width);
    widen(this.height, facts.height);
    const first = this.firsts.get(facts.digest);
    if (first === undefined) this.firsts.set(facts.digest, entry.name);
    else if (++this.duplicates.count <= SHOWN_DUPLICATES) {
      this.duplicates.examples.push({ path: entry.name, of: first });
    }
    for (let i = 0; i < pixels.length; i++) this.sum[i] = (this.sum[i] as number) + (pixels[i] as number);
    this.sample.add(pixels);
  }

  result(shape: readonly [number, number, number]): Omit<DataReport, 'source'> {
    const { images, bytes, alpha, width, height, duplicates } = this;
    const [, , channels] = shape;
    const mean = this.sum.map((value) => value / Math.max(1, images));
    const meanColour = Array.from({ length: channels }, (_, c) => {
      const ofChannel = mean.filter((_, i) => i % channels === c);
      return ofChannel.reduce((a, b) => a + b, 0) / ofChannel.length;
    });
    const sheet = this.sample.result();
    return {
      images,
      skipped: this.skipped.sort(byPath),
      bytes,
      formats: commonestFirst(this.formats),
      sizes: commonestFirst(this.sizes),
      width: images > 0 ? width : { min: 0, max: 0 },
      height: images > 0 ? height : { min: 0, max: 0 },
      colours: commonestFirst(this.colours),
      alpha,
      ...(this.labels.size > 0 && { labels: byName(this.labels) }),
      duplicates,
      meanColour,
      ...(images > 0 && {
        mean: { data: Uint8Array.from(mean, Math.round), shape: [1, ...shape] },
        sheet: { data: Buffer.concat(sheet), shape: [sheet.length, ...shape] },
      }),
    };
  }
}

/** Up to `size` of the items given, evenly spread over all of them, however many they turn out to be. */
class EvenSample {
  private kept: Uint8Array[] = [];
  private stride = 1;
  private seen = 0;
  private readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  add(item: Uint8Array): void {
    if (this.seen++ % this.stride !== 0) return;
    this.kept.push(item);
    if (this.kept.length < 2 * this.size) return;
    this.kept = this.kept.filter((_, i) => i % 2 === 0);
    this.stride *= 2;
  }

  result(): Uint8Array[] {
    const count = Math.min(this.size, this.kept.length);
    return Array.from(
      { length: count },
      (_, i) => this.kept[Math.floor((i * this.kept.length) / count)] as Uint8Array,
    );
  }
}

function count(tally: Map<string, number>, name: string): void {
  tally.set(name, (tally.get(name) ?? 0) + 1);
}

function widen(range: { min: number; max: number }, value: number): void {
  range.min = Math.min(range.min, value);
  range.max = Math.max(range.max, value);
}

const commonestFirst = (tally: Map<string, number>): Tally =>
  Object.fromEntries([...tally].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));

const byName = (tally: Map<string, number>): Tally =>
  Object.fromEntries([...tally].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })));
