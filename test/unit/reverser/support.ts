/** What the tests of the reverser share: an addon that does no arithmetic, a run and its images. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { saveCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { modelOptions } from '../../../lib/config/schema.js';
import type { Addon } from '../../../lib/native.js';
import { describeSession, recordSession } from '../../../lib/training/environment.js';
import { fakeAddon, fakeTensors, progress } from '../support/fake-addon.js';
import { temporaryFolder } from '../support/temporary.js';

/** Latents whose first number is the grey level of the image's first pixel, and images of that level. */
export function mirrorAddon(): Addon {
  const { addon } = fakeAddon();
  return {
    ...addon,
    createNetwork: async (options) => {
      const network = await addon.createNetwork(options);
      return {
        ...network,
        reverse: async ({ images: { data, shape } }) => {
          const latents = new Float32Array(shape[0] * 64);
          const size = data.length / shape[0];
          for (let i = 0; i < shape[0]; i++) latents[i * 64] = data[i * size] as number;
          return { data: latents, shape: [shape[0], 64, 1, 1] };
        },
        decode: async ({ latents: { data, shape } }) => {
          const images = new Uint8Array(shape[0] * 64);
          for (let i = 0; i < shape[0]; i++) images.fill(data[i * 64] as number, i * 64, (i + 1) * 64);
          return { data: images, shape: [shape[0], 8, 8, 1] };
        },
      };
    },
  };
}

/** A PNG of one grey level, 8 pixels wide and high. */
export function grey(level: number): Promise<Buffer> {
  const background = { r: level, g: level, b: level };
  const image = sharp({ create: { width: 8, height: 8, channels: 3, background } }).toColourspace('b-w');
  return image.png().toBuffer();
}

/** Settings of the run: grey images of 8 pixels. */
export const config = resolveConfig([
  { source: '', values: { imageSize: 8, baseWidth: 2, maxWidth: 4, imageChannels: 1 } },
]);

/** A run with one checkpoint beside a folder of five images and a text. */
export async function runAndPhotos(): Promise<{ folder: string; run: string; photos: string }> {
  const folder = await temporaryFolder();
  const run = join(folder, 'run');
  const photos = join(folder, 'photos');
  await mkdir(join(run, 'checkpoints'), { recursive: true });
  await mkdir(photos);
  const tensors = fakeTensors(modelOptions(config));
  const path = join(run, 'checkpoints', 'step-000005.safetensors');
  await saveCheckpoint(path, { config, step: 5, images: 10, ...progress, tensors });
  for (const [i, level] of [10, 60, 110, 160, 210].entries())
    await writeFile(join(photos, `${i}, "${level}".png`), await grey(level));
  await writeFile(join(photos, 'notes.txt'), 'text');
  return { folder, run, photos };
}

/** Says in the run's environment.json that it was trained on the images at `path`. */
export async function recordData(run: string, path: string): Promise<void> {
  const data = { path, images: 5, hash: 'abc' };
  const session = await describeSession({ info: fakeAddon().addon.info(), data, step: 0 });
  await recordSession(join(run, 'environment.json'), session);
}
