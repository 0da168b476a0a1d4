/** What the tests of decoding share: made pictures, and what becomes of them. */
import sharp, { type Sharp } from 'sharp';
import { expect } from 'vitest';
import { decodeImage, type ImageFormat, UnusableImage } from '../../../lib/data/decode.js';
import { type ImageKind, imageKind } from '../../../lib/data/kind.js';

export const SIZE = 16;

export function decoded(file: Uint8Array, format: Partial<ImageFormat> = {}): Promise<Uint8Array> {
  const kind = imageKind(file);
  expect(kind).toBeDefined();
  return decodeImage(file, kind as ImageKind, {
    imageSize: SIZE,
    imageChannels: 3,
    background: '#ffffff',
    crop: 'cover',
    maxPixels: 1e8,
    ...format,
  });
}

export async function reason(file: Uint8Array, format: Partial<ImageFormat> = {}): Promise<string> {
  const caught = await decoded(file, format).catch((error) => error);
  expect(caught).toBeInstanceOf(UnusableImage);
  return caught.message;
}

/** Largest difference between two sets of pixels. */
export function distance(a: Uint8Array, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] as number))), 0);
}

export function raw(
  data: Uint8Array | Uint16Array,
  width: number,
  height: number,
  channels: 1 | 2 | 3 | 4,
): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

export type Colour = readonly [number, number, number];
export const RED: Colour = [220, 40, 30];
export const GREEN: Colour = [30, 160, 60];
export const BLUE: Colour = [40, 60, 200];
export const YELLOW: Colour = [230, 210, 40];

/** Four quarters of different colours: no turn or mirror image of it is the same. */
export function quarters(width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = y < height / 2 ? (x < width / 2 ? RED : GREEN) : x < width / 2 ? BLUE : YELLOW;
      pixels.set(colour, (y * width + x) * 3);
    }
  }
  return pixels;
}

export const repeated = (pixel: readonly number[], count: number): number[] =>
  Array(count).fill(pixel).flat();
/** A picture of one colour, as decoded() would give it. */
export const plain = (pixel: readonly number[]): number[] => repeated(pixel, SIZE * SIZE);
export const solid = (colour: readonly number[]): Sharp => raw(Uint8Array.from(plain(colour)), SIZE, SIZE, 3);
