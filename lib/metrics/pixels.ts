/** What two heaps of pictures tell without any features: whether generated ones repeat each other, or are blurred. */
import type { ImageBatch } from '../native.js';

/**
 * Root mean square distance of two generated images over that of two real ones, over all pairs: 0 when all generated
 * images are alike, 1 when they differ as much as real ones. Batches [N, S, S, C] of at least two images of one shape.
 */
export const diversity = (fake: ImageBatch, real: ImageBatch): number =>
  Math.sqrt(ratio(pairDistance(fake), pairDistance(real)));

/**
 * Mean square of the pixels' Laplacian in generated images over that in real ones: below 1 they are blurred, above 1
 * they are noisy. Images of at least 3 pixels.
 */
export const sharpness = (fake: ImageBatch, real: ImageBatch): number =>
  ratio(laplacianEnergy(fake), laplacianEnergy(real));

/** Far below one step of an 8-bit value: real images that are all alike, or flat, give 1 for such generated ones. */
const NOTHING = 1e-9;
const ratio = (fake: number, real: number): number => (fake + NOTHING) / (real + NOTHING);

/** Mean squared distance per pixel of two different images; that of all pairs follows from the pixels' variances. */
function pairDistance({ data, shape: [count, ...image] }: ImageBatch): number {
  const size = image.reduce((a, b) => a * b, 1);
  const sums = new Float64Array(size);
  let squares = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < size; j++) {
      const value = data[i * size + j] as number;
      sums[j] = (sums[j] as number) + value;
      squares += value * value;
    }
  }
  const ofMeans = sums.reduce((all, sum) => all + sum * sum, 0) / count;
  return (2 * (squares - ofMeans)) / (size * (count - 1));
}

function laplacianEnergy({ data, shape: [count, height, width, channels] }: ImageBatch): number {
  const row = width * channels;
  const at = (i: number) => data[i] as number;
  let squares = 0;
  for (let image = 0; image < count; image++) {
    for (let y = 1; y < height - 1; y++) {
      const from = (image * height + y) * row;
      for (let i = from + channels; i < from + row - channels; i++) {
        const value = 4 * at(i) - at(i - channels) - at(i + channels) - at(i - row) - at(i + row);
        squares += value * value;
      }
    }
  }
  return squares / (count * (height - 2) * (width - 2) * channels);
}
