/**
 * Lanczos-3 for making images larger. Own code, for libvips enlarges with another kernel, bicubic, and half a target pixel
 * too far right and down.
 */
import { Turns } from '../turns.js';

export interface Pixels {
  /** [height, width, channels] of 8 bits, C-contiguous. */
  data: Uint8Array;
  width: number;
  height: number;
  channels: 1 | 3;
}

/** Pixels of the smaller image that count to each side of a point. */
const REACH = 3;

/** Of each target pixel along one axis the first source pixel that counts, and the weights from there on; their sum is 1. */
interface Taps {
  first: Int32Array;
  weights: Float64Array[];
}

/** Where the largest square in the middle is, which `crop: cover` takes. */
export function middleSquare({ width, height }: { width: number; height: number }) {
  const side = Math.min(width, height);
  return { side, top: Math.floor((height - side) / 2), left: Math.floor((width - side) / 2) };
}

/** That square. */
export function centredSquare({ data, width, height, channels }: Pixels): Pixels {
  const { side, top, left } = middleSquare({ width, height });
  const square = new Uint8Array(side * side * channels);
  for (let y = 0; y < side; y++) {
    const start = ((top + y) * width + left) * channels;
    square.set(data.subarray(start, start + side * channels), y * side * channels);
  }
  return { data: square, width: side, height: side, channels };
}

/**
 * Resamples to width × height, neither of which may be less than the image's. At the borders only the pixels that are
 * there count. Others get their turn while it works.
 */
export async function enlarge(
  image: Pixels,
  { width, height }: { width: number; height: number },
  turns = new Turns(),
): Promise<Uint8Array> {
  const { data, channels } = image;
  const across = tapsFor(image.width, width);
  const down = tapsFor(image.height, height);
  const wide = new Float64Array(image.height * width * channels);
  for (let y = 0; y < image.height; y++) {
    const from = y * image.width * channels;
    for (let x = 0; x < width; x++) {
      const weights = across.weights[x] as Float64Array;
      for (let c = 0; c < channels; c++) {
        let at = from + (across.first[x] as number) * channels + c;
        let sum = 0;
        for (let i = 0; i < weights.length; i++, at += channels)
          sum += (weights[i] as number) * (data[at] as number);
        wide[(y * width + x) * channels + c] = sum;
      }
    }
    if (turns.due()) await turns.take();
  }
  const rowLength = width * channels;
  // Rounds, and keeps what overshoots within 0 … 255.
  const target = new Uint8ClampedArray(height * rowLength);
  const row = new Float64Array(rowLength);
  for (let y = 0; y < height; y++) {
    row.fill(0);
    (down.weights[y] as Float64Array).forEach((weight, i) => {
      const from = ((down.first[y] as number) + i) * rowLength;
      for (let x = 0; x < rowLength; x++) row[x] = (row[x] as number) + weight * (wide[from + x] as number);
    });
    target.set(row, y * rowLength);
    if (turns.due()) await turns.take();
  }
  return new Uint8Array(target.buffer);
}

function tapsFor(source: number, target: number): Taps {
  const first = new Int32Array(target);
  const weights: Float64Array[] = [];
  for (let i = 0; i < target; i++) {
    // Pixel i's middle, in source pixels from the border.
    const middle = ((i + 0.5) * source) / target;
    const from = Math.max(0, Math.floor(middle - REACH + 0.5));
    const to = Math.min(source, Math.floor(middle + REACH + 0.5));
    const taps = Float64Array.from({ length: to - from }, (_, tap) => lanczos(from + tap + 0.5 - middle));
    const sum = taps.reduce((a, b) => a + b);
    first[i] = from;
    weights.push(taps.map((weight) => weight / sum));
  }
  return { first, weights };
}

/** sinc(x) sinc(x / 3) within 3 of 0. */
function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= REACH) return 0;
  const turn = Math.PI * x;
  return (REACH * Math.sin(turn) * Math.sin(turn / REACH)) / turn ** 2;
}
