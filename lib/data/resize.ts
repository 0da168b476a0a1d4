/** Resizing of many small images of one size, which one by one would cost more in calls than in work. */
import sharp from 'sharp';
import { Turns } from '../turns.js';
import type { ImageFormat } from './decode.js';
import { centredSquare, enlarge, middleSquare } from './enlarge.js';

type TargetFormat = Pick<ImageFormat, 'imageSize' | 'imageChannels'>;

/** Images [count, height, width, channels] of 8 bits, C-contiguous. */
export interface RawImages {
  data: Uint8Array;
  count: number;
  height: number;
  width: number;
  channels: 1 | 3;
}

/** Reach of the Lanczos-3 kernel, in target pixels. */
const REACH = 3;
/**
 * From this factor on libvips first averages whole blocks of rows. They would not begin anew with each image, and such
 * images are large enough to go through one by one.
 */
const BOX_SHRINK = 4;

/**
 * Crops each image to its centred square and resizes it to [imageSize, imageSize, imageChannels], as
 * decodeImage() would.
 *
 * The images go through sharp as one tall picture. Each is continued above and below by copies of its first and last
 * row, as libvips itself does at the borders of a picture, so that no image shines into the next; and by so many rows
 * that each image begins at the same fraction of a target row.
 */
export async function resizeImages(images: RawImages, format: TargetFormat): Promise<Uint8Array> {
  const { count, channels } = images;
  const { imageSize, imageChannels } = format;
  const { side } = middleSquare(images);
  if (side < imageSize) return enlargeImages(images, format);
  if (count > 1 && (side >= BOX_SHRINK * imageSize || hasTies(side, imageSize)))
    return resizeOneByOne(images, format);
  const step = side / greatestCommonDivisor(side, imageSize);
  const reach = (REACH * side) / imageSize + 1;
  const margin = count === 1 || side === imageSize ? 0 : step * Math.ceil(reach / step);
  const targetMargin = (margin * imageSize) / side;
  const height = count * (side + 2 * margin);
  const tower = sharp(stack(images, margin), {
    raw: { width: side, height, channels },
    limitInputPixels: false,
  });
  const targetHeight = imageSize + 2 * targetMargin;
  const resized = await tower
    .resize(imageSize, count * targetHeight, { fit: 'fill', kernel: 'lanczos3' })
    .toColourspace(imageChannels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
  const rowBytes = imageSize * imageChannels;
  const imageBytes = imageSize * rowBytes;
  if (targetMargin === 0) return resized;
  // Not within the tower, whose margins may be many times the images and would stay in memory with them.
  const target = new Uint8Array(count * imageBytes);
  for (let i = 0; i < count; i++) {
    const start = (i * targetHeight + targetMargin) * rowBytes;
    target.set(resized.subarray(start, start + imageBytes), i * imageBytes);
  }
  return target;
}

async function enlargeImages(images: RawImages, format: TargetFormat): Promise<Uint8Array> {
  const { data, count, channels } = images;
  const { imageSize, imageChannels } = format;
  const bytes = data.length / count;
  const size = { width: imageSize, height: imageSize };
  const turns = new Turns();
  const tower = new Uint8Array(count * imageSize ** 2 * channels);
  for (let i = 0; i < count; i++) {
    const square = centredSquare({ ...images, data: data.subarray(i * bytes, (i + 1) * bytes) });
    tower.set(await enlarge(square, size, turns), i * imageSize ** 2 * channels);
  }
  if (channels === imageChannels) return tower;
  return sharp(tower, { raw: { ...size, height: count * imageSize, channels }, limitInputPixels: false })
    .toColourspace(imageChannels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
}

async function resizeOneByOne(images: RawImages, format: TargetFormat): Promise<Uint8Array> {
  const { data, count } = images;
  const bytes = data.length / count;
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const one = data.subarray(i * bytes, (i + 1) * bytes);
    parts.push(await resizeImages({ ...images, data: one, count: 1 }, format));
  }
  return Buffer.concat(parts);
}

/** The images' centred squares, one below the other, each with `margin` copies of its first and last row around. */
function stack({ data, count, height, width, channels }: RawImages, margin: number): Uint8Array {
  const { side, top, left } = middleSquare({ width, height });
  const rowBytes = side * channels;
  const tower = new Uint8Array(count * (side + 2 * margin) * rowBytes);
  let at = 0;
  for (let i = 0; i < count; i++) {
    for (let y = -margin; y < side + margin; y++) {
      const row = top + Math.min(Math.max(y, 0), side - 1);
      const start = ((i * height + row) * width + left) * channels;
      tower.set(data.subarray(start, start + rowBytes), at);
      at += rowBytes;
    }
  }
  return tower;
}

/**
 * Whether a target row lies just between two of the 64 places within a source row that libvips computes weights for:
 * rounding then decides, and does so otherwise further down a tall picture.
 */
function hasTies(side: number, imageSize: number): boolean {
  // Row i lies at (i + 1/2) side / imageSize - 1/2.
  const turn = 2 * imageSize;
  for (let i = 0; i < imageSize; i++) if (((2 * i + 1) * side * 64) % turn === imageSize) return true;
  return false;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
