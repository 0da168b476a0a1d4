/** From the entries of a source to rows of pixels, decoded side by side, in the order of the source. */
import { availableParallelism } from 'node:os';
import { convertPixels, decodeImage, type ImageFormat, UnusableImage } from './decode.js';
import type { Skipped } from './folder.js';
import { inOrder } from './in-order.js';
import { IMAGE_KINDS, imageKind } from './kind.js';
import { type RawImages, resizeImages } from './resize.js';
import type { EncodedItem, ImageSource, PixelItem, ReadOptions, SourceEntry } from './source.js';

export type Label = number | string | undefined;

/** What some entries that follow one another in a source have become. */
export interface Rows {
  /** Index of the entry behind them: where a later call goes on, with the same rows as if it had never ended. */
  next: number;
  /** Pixels [count, imageSize, imageSize, imageChannels]. */
  pixels: Uint8Array;
  /** One a row. */
  labels: Label[];
  /** Names in the source, one a row; none for plain pixels, which have only a place. */
  names: (string | undefined)[];
  skipped: Skipped[];
}

/** Bytes of plain images, before or after, that are resized in one call: a few milliseconds of copying. */
const BLOCK_BYTES = 2 ** 18;
/** Bytes of entries, or of the rows they become, that are in memory, not counting what decoders take. */
const BUDGET = 2 ** 26;
const NOT_KNOWN = `it is not an image of a known kind (${IMAGE_KINDS.join(', ')})`;

/**
 * Images in work at once. Decoding runs on libuv's threads, four unless UV_THREADPOOL_SIZE says otherwise; one is left
 * to reading, which would wait behind images otherwise. One more than there are cores covers for the time in between.
 */
export function decodersAtOnce(): number {
  const threads = Number(process.env.UV_THREADPOOL_SIZE) || 4;
  return Math.max(1, Math.min(availableParallelism() + 1, threads - 1));
}

/**
 * Yields all entries of `source` from `options.from` on as rows. Memory stays bounded. An image that cannot be used is
 * a Skipped with its reason. After an abort throws the signal's reason.
 */
export async function* rowsOf(
  source: ImageSource,
  format: ImageFormat,
  options: ReadOptions,
): AsyncGenerator<Rows, void, void> {
  const parallel = decodersAtOnce();
  const sizeOf = (group: Group) => sizeOfGroup(group, format);
  const window = { parallel, ahead: 8 * parallel, sizeOf, budget: BUDGET };
  for await (const rows of inOrder(grouped(source.entries(options), format), window, (group) =>
    convert(group, format),
  )) {
    options.signal?.throwIfAborted();
    yield rows;
  }
}

/** Plain images of one shape, to be resized in one call; or any single entry. */
type Group = PixelItem[] | [SourceEntry];

const sizeOfGroup = (group: Group, format: ImageFormat): number =>
  group.reduce((sum, item) => sum + sizeOfEntry(item, format), 0);

/** Bytes of an entry or of its row, whichever are more: a small image may become a large row. */
function sizeOfEntry(entry: SourceEntry, { imageSize, imageChannels }: ImageFormat): number {
  if (entry.form === 'skipped') return 0;
  const { length } = entry.form === 'encoded' ? entry.bytes : entry.data;
  return Math.max(length, imageSize ** 2 * imageChannels);
}

async function* grouped(entries: AsyncIterable<SourceEntry>, format: ImageFormat): AsyncGenerator<Group> {
  let block: PixelItem[] = [];
  for await (const entry of entries) {
    const [first] = block;
    if (first && !(fitsBlocks(entry, format) && sameShape(first, entry))) {
      yield block;
      block = [];
    }
    if (!fitsBlocks(entry, format)) {
      yield [entry];
      continue;
    }
    block.push(entry);
    if (block.length * sizeOfEntry(entry, format) >= BLOCK_BYTES) {
      yield block;
      block = [];
    }
  }
  if (block.length > 0) yield block;
}

/** Those that resizeImages() can take. */
function fitsBlocks(entry: SourceEntry, { crop, maxPixels }: ImageFormat): entry is PixelItem {
  if (entry.form !== 'pixels' || entry.channels === 4) return false;
  return (crop === 'cover' || entry.width === entry.height) && entry.width * entry.height <= maxPixels;
}

const sameShape = (a: PixelItem, b: PixelItem): boolean =>
  a.width === b.width && a.height === b.height && a.channels === b.channels;

async function convert(group: Group, format: ImageFormat): Promise<Rows> {
  const last = group[group.length - 1] as SourceEntry;
  const rows: Rows = { next: last.index + 1, pixels: new Uint8Array(0), labels: [], names: [], skipped: [] };
  try {
    rows.pixels = await pixelsOf(group, format);
    for (const item of group as (PixelItem | EncodedItem)[]) {
      rows.labels.push(item.label);
      rows.names.push(item.form === 'encoded' ? item.name : undefined);
    }
  } catch (error) {
    const path = last.form === 'skipped' ? last.path : last.name;
    rows.skipped.push({ path, reason: reasonOf(error) });
  }
  return rows;
}

/** Why an image cannot be used. Throws whatever is no UnusableImage. */
export function reasonOf(error: unknown): string {
  if (error instanceof UnusableImage) return error.message;
  throw error;
}

/** The pixels of a group. Throws UnusableImage. */
export async function pixelsOf(group: Group, format: ImageFormat): Promise<Uint8Array> {
  const [first] = group as [SourceEntry];
  if (first.form === 'skipped') throw new UnusableImage(first.reason);
  if (first.form === 'encoded') {
    const kind = imageKind(first.bytes);
    if (kind === undefined) throw new UnusableImage(first.bytes.length === 0 ? 'it is empty' : NOT_KNOWN);
    return decodeImage(first.bytes, kind, format);
  }
  if (!fitsBlocks(first, format)) return convertPixels(first, format);
  const { width, height, channels } = first;
  const images = group as PixelItem[];
  const data = Buffer.concat(images.map((item) => item.data));
  return resizeImages({ data, count: images.length, width, height, channels } as RawImages, format);
}
