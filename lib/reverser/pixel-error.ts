import type { ImageBatch } from '../native.js';

/** Half of the range of 8-bit values: pixels of the network run from -1 to 1. */
const HALF_RANGE = 127.5;

/** For each image of two batches of one shape the mean over its pixels of the squared difference, from 0 to 4. */
export function pixelErrors(a: ImageBatch, b: ImageBatch): Float64Array {
  const [count] = a.shape;
  const size = a.data.length / count;
  const image = ({ data }: ImageBatch, i: number) => data.subarray(i * size, (i + 1) * size);
  return Float64Array.from({ length: count }, (_, i) => pixelError(image(a, i), image(b, i)));
}

/** The same of the pixels of two images. */
export function pixelError(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum / (a.length * HALF_RANGE ** 2);
}

/**
 * How busy each image is: the mean squared difference of neighbouring pixels, from -1 to 1, across and down; 0 for one
 * even colour. A busy image cannot be expected to come back as exactly as a smooth one.
 */
export function details({ data, shape: [count, height, width, channels] }: ImageBatch): Float64Array {
  const row = width * channels;
  const size = height * row;
  return Float64Array.from({ length: count }, (_, image) => {
    let across = 0;
    let down = 0;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < row; x++) {
        const at = image * size + y * row + x;
        const value = data[at] as number;
        if (x >= channels) across += (value - (data[at - channels] as number)) ** 2;
        if (y > 0) down += (value - (data[at - row] as number)) ** 2;
      }
    }
    const pairs = [(width - 1) * height * channels, width * (height - 1) * channels] as const;
    return (across / pairs[0] + down / pairs[1]) / (2 * HALF_RANGE ** 2);
  });
}
