import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { vi } from 'vitest';
import type { MetricConfig } from '../../../lib/metrics/catalogue.js';
import type { Sampler } from '../../../lib/metrics/sampler.js';
import type { ImageBatch, LatentBatch } from '../../../lib/native.js';
import { fakeAddon } from '../support/fake-addon.js';
import { temporaryFolder } from '../support/temporary.js';

export const SIZE = 16;

/** Grey images, image i all of level i (modulo 256). */
export function levels(count: number, first = 0): ImageBatch {
  const data = new Uint8Array(count * SIZE * SIZE);
  for (let i = 0; i < count; i++) data.fill((first + i) % 256, i * SIZE * SIZE, (i + 1) * SIZE * SIZE);
  return { data, shape: [count, SIZE, SIZE, 1] };
}

/** The level of each image. */
export const levelsOf = ({ data, shape }: ImageBatch): number[] =>
  Array.from({ length: shape[0] }, (_, i) => data[i * shape[1] * shape[2] * shape[3]] as number);

/** A latent of an image is its level in each of two numbers; decoding adds `error` levels. */
export function fakeSampler(error = 0) {
  return {
    generate: vi.fn<Sampler['generate']>(async ({ count, startIndex = 0 }) => levels(count, startIndex)),
    reverse: vi.fn<Sampler['reverse']>(async ({ images }) => {
      const data = Float32Array.from(levelsOf(images).flatMap((level) => [level, level]));
      return { data, shape: [images.shape[0], 2, 1, 1] } satisfies LatentBatch;
    }),
    decode: vi.fn<Sampler['decode']>(async ({ latents: { data, shape } }) => {
      const images = levels(shape[0]);
      images.data.forEach((_, i) => {
        images.data[i] = (data[2 * Math.floor(i / SIZE ** 2)] as number) + error;
      });
      return images;
    }),
  };
}

export const settings = (changes: Partial<MetricConfig> = {}): MetricConfig => ({
  imageSize: SIZE,
  metrics: ['swd'],
  metricCount: 1000,
  extractorRange: '0..255',
  seed: 7,
  ...changes,
});

/** An addon whose functions can be watched; features of an image are its level and 1. */
export function watchedAddon() {
  const { addon } = fakeAddon();
  const extractor = {
    features: vi.fn(async ({ images }: { images: ImageBatch }) => {
      const data = Float32Array.from(levelsOf(images).flatMap((level) => [level, 1]));
      return { data, shape: [images.shape[0], 2] as [number, number] };
    }),
    dispose: vi.fn(async () => {}),
  };
  const createExtractor = vi.spyOn(addon, 'createExtractor').mockResolvedValue(extractor);
  return {
    addon,
    extractor,
    createExtractor,
    slicedWasserstein: vi.spyOn(addon, 'slicedWasserstein'),
    frechetDistance: vi.spyOn(addon, 'frechetDistance'),
    kernelDistance: vi.spyOn(addon, 'kernelDistance'),
    precisionRecall: vi.spyOn(addon, 'precisionRecall'),
    latentStatistics: vi.spyOn(addon, 'latentStatistics'),
  };
}

/** A file that stands for an extractor, with a cache folder beside it. */
export async function extractorFile(content = 'module'): Promise<{ extractor: string; cacheFolder: string }> {
  const folder = await temporaryFolder();
  const extractor = join(folder, 'extractor.pt');
  await writeFile(extractor, content);
  return { extractor, cacheFolder: join(folder, 'cache') };
}
