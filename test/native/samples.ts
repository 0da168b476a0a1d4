/** Pseudo-random features, latents and images for the tests of the metrics: the same on every machine. */
import type { FeatureBatch, ImageBatch, LatentBatch } from '../../lib/native.js';

/** Uniform numbers in [0, 1) (mulberry32). */
export function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers. */
export function normals(seed: number): () => number {
  const next = uniforms(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** Features whose neighbours are correlated and whose scales differ, moved by `shift`. */
export function features(count: number, length: number, seed: number, shift = 0): FeatureBatch {
  const normal = normals(seed);
  const data = new Float32Array(count * length);
  for (let i = 0; i < count; i++) {
    let before = 0;
    for (let j = 0; j < length; j++) {
      before = 0.7 * before + normal();
      data[i * length + j] = shift + (before * (1 + (j % 5))) / 3 + 0.5;
    }
  }
  return { data, shape: [count, length] };
}

export function latents(
  count: number,
  channels: number,
  size: number,
  seed: number,
  { scale = 1, shift = 0 } = {},
): LatentBatch {
  const normal = normals(seed);
  const data = Float32Array.from({ length: count * channels * size * size }, () => shift + scale * normal());
  return { data, shape: [count, channels, size, size] };
}

/** Waves in random directions with some noise; `detail` is the amount of noise. */
export function images(
  count: number,
  size: number,
  channels: number,
  seed: number,
  { detail = 20, waves = 60 } = {},
): ImageBatch {
  const [uniform, normal] = [uniforms(seed), normals(seed + 1)];
  const data = new Uint8ClampedArray(count * size * size * channels);
  for (let i = 0, at = 0; i < count; i++) {
    const [fx, fy, phase, lag] = [uniform() * 0.6, uniform() * 0.6, uniform() * 7, uniform()];
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++)
        for (let c = 0; c < channels; c++, at++)
          data[at] = 128 + waves * Math.sin(fx * x + fy * y + phase + lag * c) + detail * normal();
  }
  return { data: new Uint8Array(data.buffer), shape: [count, size, size, channels] };
}
