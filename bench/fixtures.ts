/** Weights and images that all contenders of a comparison are given. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { saveCheckpoint } from '../lib/checkpoint/checkpoint.js';
import { noFailure } from '../lib/checkpoint/metadata.js';
import { resolveConfig } from '../lib/config/resolve.js';
import { type Config, lossOptions, modelOptions, optimizerOptions } from '../lib/config/schema.js';
import { loadAddon, type NativeTensor } from '../lib/native.js';
import { noSums } from '../lib/training/metrics-log.js';

export interface Model {
  config: Config;
  /** A checkpoint file: initial values, their moving average, and no steps behind it. */
  checkpoint: string;
  tensors: NativeTensor[];
}

/** A network of fresh weights: what a step or an image takes does not depend on their values. */
export async function freshModel(folder: string, settings: Record<string, unknown>): Promise<Model> {
  const config = resolveConfig([{ source: '', values: settings }]);
  const trainer = await loadAddon().createTrainer({
    model: modelOptions(config),
    loss: lossOptions(config),
    optimizer: optimizerOptions(config),
    seed: config.seed,
    batchSize: config.batchSize,
  });
  const { tensors } = await trainer.state();
  await trainer.dispose();
  const checkpoint = join(folder, `weights-${randomBytes(4).toString('hex')}.safetensors`);
  const nothing = { step: 0, images: 0, seconds: 0, skipped: 0, dataHash: '', guard: noFailure() };
  await saveCheckpoint(checkpoint, {
    ...nothing,
    recent: noSums(),
    config,
    tensors,
  });
  return { config, checkpoint, tensors };
}

export interface Images {
  /** Folder of PNG files. */
  folder: string;
  /** The same pixels, 8-bit [count, size, size, channels], in one file. */
  raw: string;
  count: number;
}

/** Coloured waves: images that differ from one another and compress as pictures do. */
export async function someImages(
  parent: string,
  { imageSize: size, imageChannels: channels }: Config,
  count: number,
): Promise<Images> {
  const folder = join(parent, `images-${size}-${channels}`);
  await mkdir(folder, { recursive: true });
  const pixels = new Uint8Array(count * size * size * channels);
  const one = size * size * channels;
  for (let i = 0; i < count; i++) {
    const image = pixels.subarray(i * one, (i + 1) * one);
    for (let at = 0; at < one; at++) {
      const [x, y, c] = [Math.floor(at / channels) % size, Math.floor(at / channels / size), at % channels];
      const wave =
        Math.sin(((i % 7) + 1) * (x / size) * 3 + c) + Math.cos(((i % 5) + 1) * (y / size) * 3 + i);
      image[at] = 127.5 + 60 * wave;
    }
    const raw = { width: size, height: size, channels };
    await sharp(image, { raw })
      .png()
      .toFile(join(folder, `${String(i).padStart(6, '0')}.png`));
  }
  const raw = `${folder}.raw`;
  await writeFile(raw, pixels);
  return { folder, raw, count };
}

/** Fixed numbers from N(0, 1), so that all contenders can compute the same thing once. */
export async function normalTensor(name: string, shape: number[], seed: number): Promise<NativeTensor> {
  const [count = 1, ...item] = shape;
  const { data } = await loadAddon().latents({
    seed,
    count,
    latentChannels: item.reduce((a, b) => a * b, 1),
    latentSize: 1,
  });
  return {
    name,
    dtype: 'float32',
    shape,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}
