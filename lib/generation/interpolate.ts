/** Ways from one latent to another on which every point looks like a latent of the prior. */
import type { LatentBatch } from '../native.js';

/** Below this sine of the angle the directions are as good as parallel. */
const PARALLEL = 1e-6;

/**
 * The vector at `fraction` (0 to 1) of the way on the great circle between two of one length (Shoemake 1985). Of
 * vectors of different lengths, the length changes evenly to the eye; of a normal distribution in many dimensions
 * nearly all lie at one length, which a straight line would cut below. Where no great circle is given, between parallel
 * or opposite vectors or from zero, the straight line is taken. At 0 and 1 exactly the ends.
 */
export function slerp(from: Float32Array, to: Float32Array, fraction: number): Float32Array {
  if (fraction === 0) return from.slice();
  if (fraction === 1) return to.slice();
  const lengths = Math.sqrt(dot(from, from)) * Math.sqrt(dot(to, to));
  const cosine = lengths === 0 ? 1 : Math.min(1, Math.max(-1, dot(from, to) / lengths));
  const angle = Math.acos(cosine);
  const sine = Math.sin(angle);
  const [a, b] =
    sine < PARALLEL
      ? [1 - fraction, fraction]
      : [Math.sin((1 - fraction) * angle) / sine, Math.sin(fraction * angle) / sine];
  return from.map((value, i) => a * value + b * (to[i] as number));
}

/**
 * For each of the N latents of `from` [N, Zc, Sz, Sz], latents on the way to the one of the same index in `to`, at the
 * fractions given; or so many, evenly spread, both ends included, 2 or more: [N * count, Zc, Sz, Sz]. The shapes are one.
 */
export function interpolate(
  from: LatentBatch,
  to: LatentBatch,
  points: number | readonly number[],
): LatentBatch {
  const fractions = typeof points === 'number' ? evenlySpread(points) : points;
  const count = fractions.length;
  const [latents, ...item] = from.shape;
  const size = item.reduce((a, b) => a * b, 1);
  const data = new Float32Array(latents * count * size);
  for (let i = 0; i < latents; i++) {
    const [a, b] = [from, to].map((batch) => batch.data.subarray(i * size, (i + 1) * size)) as [
      Float32Array,
      Float32Array,
    ];
    for (const [k, fraction] of fractions.entries()) data.set(slerp(a, b, fraction), (i * count + k) * size);
  }
  return { data, shape: [latents * count, ...item] };
}

const evenlySpread = (count: number): number[] => Array.from({ length: count }, (_, k) => k / (count - 1));

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
