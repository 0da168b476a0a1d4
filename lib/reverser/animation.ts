import sharp from 'sharp';
import { enlargement } from '../generation/grid.js';
import type { ImageBatch } from '../native.js';

/**
 * Images [N, H, W, C] as frames of an animated WebP without loss that runs for ever. Small ones are enlarged by a whole
 * factor without smoothing.
 */
export async function encodeAnimation({ data, shape }: ImageBatch, fps: number): Promise<Buffer> {
  const [count, height, width, channels] = shape;
  const scale = enlargement(width);
  const size = { width: width * scale, height: count * height * scale };
  // All frames below one another, which is how libvips has animations as well.
  const tall = await sharp(data, {
    raw: { width, height: count * height, channels: channels as 1 | 3 },
    limitInputPixels: false,
  })
    .resize({ ...size, kernel: 'nearest', fit: 'fill' })
    .toColourspace('srgb')
    .raw()
    .toBuffer();
  return sharp(tall, {
    raw: { ...size, channels: 3, pageHeight: height * scale },
    limitInputPixels: false,
  })
    .webp({ lossless: true, loop: 0, delay: Array.from({ length: count }, () => Math.round(1000 / fps)) })
    .toBuffer();
}
