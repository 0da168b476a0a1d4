import sharp from 'sharp';
import type { ImageBatch } from '../native.js';

/** Width and height that a small image is enlarged to, about, in pixels. */
const CELL = 64;
/** Pixels between images before enlarging, and their grey. */
const GAP = 1;
const GAP_GREY = 224;
/** Between groups of rows, relative to an image's height. */
const GROUP_GAP = 0.15;

export interface GridOptions {
  /** Images in a row; default so that the sheet is nearly square. */
  columns?: number;
  /** Rows that belong together: a wider gap follows them. Default all. */
  rowsPerGroup?: number;
}

/**
 * All images of a batch [N, H, W, C], N >= 1, on one sheet, row by row, as a PNG. Small images are enlarged by a whole
 * factor without smoothing.
 */
export async function encodeGrid(images: ImageBatch, options: GridOptions = {}): Promise<Buffer> {
  const { data, width, height, channels } = layOut(images, options);
  const scale = enlargement(images.shape[2]);
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false })
    .resize({ width: width * scale, height: height * scale, kernel: 'nearest', fit: 'fill' })
    .png()
    .toBuffer();
}

/** The whole factor by which images of a width are enlarged to be looked at; 1 for large ones. */
export const enlargement = (width: number): number => Math.max(1, Math.round(CELL / width));

/** Up to `count` images of a batch, evenly spread over it. */
export function spread(images: ImageBatch, count: number): ImageBatch {
  const [available, height, width, channels] = images.shape;
  const size = height * width * channels;
  const taken = Math.min(count, available);
  const data = new Uint8Array(taken * size);
  for (let i = 0; i < taken; i++) {
    const from = Math.floor((i * available) / taken) * size;
    data.set(images.data.subarray(from, from + size), i * size);
  }
  return { data, shape: [taken, height, width, channels] };
}

/** Rows of `columns` images, alternately of `upper` and `lower`; a last row that is not full is filled up with white. */
export function rowOverRow(upper: ImageBatch, lower: ImageBatch, columns: number): ImageBatch {
  const [count, ...item] = upper.shape;
  const row = columns * item.reduce((a, b) => a * b, 1);
  const rows = Math.ceil(count / columns);
  const data = new Uint8Array(2 * rows * row).fill(255);
  for (let i = 0; i < rows; i++) {
    data.set(upper.data.subarray(i * row, (i + 1) * row), 2 * i * row);
    data.set(lower.data.subarray(i * row, (i + 1) * row), (2 * i + 1) * row);
  }
  return { data, shape: [2 * rows * columns, ...item] };
}

function layOut({ data, shape }: ImageBatch, options: GridOptions) {
  const [count, h, w, channels] = shape;
  const { columns = Math.ceil(Math.sqrt(count)), rowsPerGroup = Number.POSITIVE_INFINITY } = options;
  const rows = Math.ceil(count / columns);
  const groupGap = Math.ceil(h * GROUP_GAP);
  const topOf = (row: number) => GAP + row * (h + GAP) + Math.floor(row / rowsPerGroup) * groupGap;
  const width = columns * (w + GAP) + GAP;
  const height = topOf(rows - 1) + h + GAP;
  const sheet = new Uint8Array(width * height * channels).fill(GAP_GREY);
  const line = w * channels;
  for (let i = 0; i < count; i++) {
    const left = GAP + (i % columns) * (w + GAP);
    const top = topOf(Math.floor(i / columns));
    for (let y = 0; y < h; y++) {
      const from = (i * h + y) * line;
      sheet.set(data.subarray(from, from + line), ((top + y) * width + left) * channels);
    }
  }
  return { data: sheet, width, height, channels: channels as 1 | 3 };
}
