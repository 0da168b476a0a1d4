/** Images drawn in memory, 8-bit, beside PyTorch and onnxruntime with the same weights. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeSafetensors } from '../../lib/checkpoint/safetensors.js';
import { presets } from '../../lib/config/presets.js';
import { exportOnnx } from '../../lib/export/export.js';
import { San } from '../../lib/generation/san.js';
import type { ImageBatch } from '../../lib/native.js';
import {
  type BenchCase,
  type CaseContext,
  type Comparison,
  compilerCache,
  nodeContender,
  pythonContender,
} from '../case.js';
import { freshModel, normalTensor } from '../fixtures.js';

/** Images that every contender draws from the same latents first. */
const CHECKED = 8;
/** In 8-bit levels; rounding may fall on the other side. */
const TOLERANCE = 1;

const generate: BenchCase = {
  description: 'images from a trained network, in memory, beside PyTorch and onnxruntime',
  sizes: [32, 64, 128],
  async *comparisons(context) {
    for (const size of context.sizes) yield await comparisonOf(context, size);
  },
};
export default generate;

async function comparisonOf({ folder, threads }: CaseContext, imageSize: number): Promise<Comparison> {
  const { checkpoint, config } = await freshModel(folder, { ...presets.quickstart, imageSize });
  const { latentChannels, latentSize } = config;
  const z = normalTensor('z', [CHECKED, latentChannels, latentSize, latentSize], 1);
  const latents = join(folder, `latents-${imageSize}.safetensors`);
  await writeFile(latents, Buffer.concat(encodeSafetensors([z])));
  await using san = await San.load(checkpoint, { threads });
  const numbers = new Float32Array(z.data.slice().buffer);
  const expected = await san.decode({
    data: numbers,
    shape: [CHECKED, latentChannels, latentSize, latentSize],
  });
  const { files } = await exportOnnx({
    checkpoint,
    out: join(folder, `generator-${imageSize}.onnx`),
    pixels: 'uint8',
  });
  const onnx = {
    model: files[0]?.path,
    threads,
    shape: [latentChannels, latentSize, latentSize],
    latents: [...numbers],
  };
  const peer = { weights: checkpoint, latents, threads, config, cache: compilerCache(folder) };
  return {
    label: `${imageSize} px, quickstart widths`,
    unit: 'images',
    measure: 'rate',
    contenders: [
      { ...nodeContender('san-native', 'generate', { checkpoint, threads }), ours: true },
      pythonContender('PyTorch eager', 'generate.py', { ...peer, compile: false }),
      pythonContender('torch.compile', 'generate.py', { ...peer, compile: true }),
      nodeContender('onnxruntime', 'onnx', onnx),
    ],
    agreement: (facts) => [...facts].flatMap(([name, { images }]) => compareImages(name, expected, images)),
  };
}

/** `images`: base64 of the same bytes, from contenders that check. */
function compareImages(name: string, expected: ImageBatch, images: unknown): string[] {
  if (typeof images !== 'string') return [];
  const found = Buffer.from(images, 'base64');
  let largest = found.length === expected.data.length ? 0 : Number.POSITIVE_INFINITY;
  for (const [i, value] of expected.data.entries())
    largest = Math.max(largest, Math.abs(value - (found[i] ?? 0)));
  if (largest > TOLERANCE) throw new Error(`${name} draws other images than we do: ${largest} levels apart`);
  return [`${name}: the same images, at most ${largest} of 255 levels apart`];
}
