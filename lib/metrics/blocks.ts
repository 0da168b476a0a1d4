/** Working through many images in blocks, so that the memory taken does not grow with their number. */
import type { ImageBatch } from '../native.js';

/** What a caller may hold on to while metrics are being measured. */
export interface MeasureControl {
  /** After an abort the promise rejects with the signal's reason, once the block under way is done. */
  signal?: AbortSignal | undefined;
  /** Called before each block with what is being done, and the numbers of images done and in all. */
  onProgress?: ((what: string, done: number, total: number) => void) | undefined;
}

/** Its keys. */
export const MEASURE_KEYS: readonly (keyof MeasureControl)[] = ['signal', 'onProgress'];

const BLOCK_IMAGES = 256;
/** Large images come in smaller blocks. */
const BLOCK_BYTES = 2 ** 26;

/** Calls `work` on one block of images after the other, `shape` [N, H, W, C] being that of all. */
export async function inBlocks(
  what: string,
  [total, height, width, channels]: ImageBatch['shape'],
  { signal, onProgress }: MeasureControl,
  work: (start: number, count: number) => Promise<void>,
): Promise<void> {
  const most = Math.floor(BLOCK_BYTES / (height * width * channels));
  const length = Math.max(1, Math.min(BLOCK_IMAGES, most));
  for (let start = 0; start < total; start += length) {
    signal?.throwIfAborted();
    onProgress?.(what, start, total);
    await work(start, Math.min(length, total - start));
  }
  signal?.throwIfAborted();
}

/** Images `start` … `start + count - 1` of a batch; the pixels are shared with it. */
export function imagesFrom({ data, shape }: ImageBatch, start: number, count: number): ImageBatch {
  const [, height, width, channels] = shape;
  const size = height * width * channels;
  return {
    data: data.subarray(start * size, (start + count) * size),
    shape: [count, height, width, channels],
  };
}

/** Collects blocks of rows into one array [rows, ...]; the first block tells how long a row is. */
export class Rows {
  data = new Float32Array(0);
  private filled = 0;
  private width = 0;
  private readonly rows: number;

  constructor(rows: number) {
    this.rows = rows;
  }

  /** Throws RangeError when a block has rows of another length than the first. */
  add(block: Float32Array, rows: number): void {
    if (this.width === 0) {
      this.width = block.length / rows;
      this.data = new Float32Array(this.rows * this.width);
    }
    if (block.length !== rows * this.width) {
      throw new RangeError(`${block.length} numbers in ${rows} rows of ${this.width}`);
    }
    this.data.set(block, this.filled);
    this.filled += block.length;
  }
}
