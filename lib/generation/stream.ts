/** Batch after batch from a network, in constant memory and ahead of whoever takes them. */
import type { ImageBatch, SampleOptions, Truncation } from '../native.js';
import { ChunkSizer } from '../training/chunk-sizer.js';

/** Images of consecutive indices. */
export interface IndexedImages extends ImageBatch {
  /** Index of the first one. */
  startIndex: number;
}

/** Consecutive indices, from `start` on. */
export interface IndexRange {
  start: number;
  /** At least 1; may be Infinity. */
  count: number;
}

/** What draws: a NativeNetwork. */
export interface Drawer {
  generate(options: SampleOptions & Truncation): Promise<ImageBatch>;
}

export interface DrawOptions extends Truncation {
  seed: number;
  /** Images in a batch; default as many as take a quarter of a second. Does not change the images. */
  batchSize?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Batches that are asked for before the consumer wants them: the engine never waits for the main thread. */
const LOOK_AHEAD = 2;
/** The native half computes up to so many images side by side, which is faster than one by one. */
const BLOCK = 16;
/**
 * A GPU computes so many pixels side by side, the last batch filled up, and from 16 to 256 images: batch_of() of
 * native/src/inference/inference.cpp.
 */
const PIXELS = 2 ** 20;
/** Seconds and bytes of a batch whose size is chosen here. */
const BATCH_SECONDS = 0.25;
const BATCH_BYTES = 2 ** 24;

/**
 * The images of all `ranges`, in order. After an abort the iterator throws the signal's reason. At most three batches are
 * in memory: the consumer's and two that are computed meanwhile.
 */
export async function* drawRanges(
  drawer: Drawer,
  ranges: Iterable<IndexRange>,
  { seed, truncation, batchSize, signal }: DrawOptions,
): AsyncGenerator<IndexedImages, void, undefined> {
  const sizer = new BatchSizer(batchSize);
  const pieces = cut(ranges, sizer);
  const pending: Promise<IndexedImages>[] = [];
  const draw = async ({ start, count }: IndexRange): Promise<IndexedImages> => {
    const images = await drawer.generate({
      seed,
      startIndex: start,
      count,
      truncation,
    });
    sizer.record(images);
    return { ...images, startIndex: start };
  };
  for (;;) {
    signal?.throwIfAborted();
    while (pending.length <= LOOK_AHEAD) {
      const piece = pieces.next();
      if (piece.done) break;
      const images = draw(piece.value);
      // Nobody may come for it, after an abort or an error of an earlier one.
      images.catch(() => {});
      pending.push(images);
    }
    const next = pending.shift();
    if (next === undefined) return;
    const images = await next;
    signal?.throwIfAborted();
    yield images;
  }
}

function* cut(ranges: Iterable<IndexRange>, sizer: BatchSizer): Generator<IndexRange, void> {
  for (const { start, count } of ranges) {
    for (let done = 0; done < count; ) {
      const length = Math.min(sizer.next(), count - done);
      yield { start: start + done, count: length };
      done += length;
    }
  }
}

/** Batches are drawn one after the other, so the time between two that end is that of the second. */
class BatchSizer {
  private readonly fixed: number | undefined;
  private readonly chunks = new ChunkSizer(BATCH_SECONDS);
  private mostBlocks = Number.POSITIVE_INFINITY;
  private atOnce = BLOCK;
  private lastEnd = performance.now();

  constructor(fixed: number | undefined) {
    this.fixed = fixed;
  }

  next(): number {
    if (this.fixed !== undefined) return this.fixed;
    const images = this.chunks.next(this.mostBlocks) * BLOCK;
    return images > this.atOnce ? images - (images % this.atOnce) : images;
  }

  record({ data, shape }: ImageBatch): void {
    const now = performance.now();
    this.chunks.record(Math.ceil(shape[0] / BLOCK), (now - this.lastEnd) / 1000);
    this.lastEnd = now;
    this.atOnce = Math.min(256, Math.max(BLOCK, Math.floor(PIXELS / shape[1] ** 2)));
    this.mostBlocks = Math.max(1, Math.floor(BATCH_BYTES / ((data.length / shape[0]) * BLOCK)));
  }
}
