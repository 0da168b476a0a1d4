/** Images drawn, 8-bit in memory and as PNG files, beside PyTorch and onnxruntime with the same weights. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeSafetensors } from '../../lib/checkpoint/safetensors.js';
import { presets } from '../../lib/config/presets.js';
import { exportOnnx } from '../../lib/export/export.js';
import { San } from '../../lib/generation/san.js';
import type { LatentBatch } from '../../lib/native.js';
import {
  type BenchCase,
  type CaseContext,
  type Comparison,
  compilerCache,
  nodeContender,
  pythonContender,
} from '../case.js';
import { freshModel, type Model, normalTensor } from '../fixtures.js';
import { CHECKED, compareImages, differenceText, inBf16 } from '../generation.js';

const generate: BenchCase = {
  description: 'images from a trained network, in memory and as PNG files, beside PyTorch and onnxruntime',
  sizes: [32, 64, 128],
  async *comparisons(context) {
    for (const size of context.sizes) {
      const model = await freshModel(context.folder, { ...presets.quickstart, imageSize: size });
      yield await inMemory(context, model);
      yield onDisk(context, model);
    }
  },
};
export default generate;

async function inMemory(
  { folder, threads }: CaseContext,
  { checkpoint, config }: Model,
): Promise<Comparison> {
  const { latentChannels, latentSize, imageSize } = config;
  const z = normalTensor('z', [CHECKED, latentChannels, latentSize, latentSize], 1);
  const latents = join(folder, `latents-${imageSize}.safetensors`);
  await writeFile(latents, Buffer.concat(encodeSafetensors([z])));
  await using san = await San.load(checkpoint, { threads });
  const numbers = new Float32Array(z.data.slice().buffer);
  const given: LatentBatch = { data: numbers, shape: [CHECKED, latentChannels, latentSize, latentSize] };
  const expected = await san.decode(given);
  const bf16 = await inBf16(checkpoint, given);
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
      ...(bf16 === undefined
        ? []
        : [
            {
              ...nodeContender('san-native bf16', 'generate', { checkpoint, threads, precision: 'bf16' }),
              rival: false as const,
            },
          ]),
      pythonContender('PyTorch eager', 'generate.py', { ...peer, compile: false }),
      pythonContender('torch.compile', 'generate.py', { ...peer, compile: true }),
      nodeContender('onnxruntime', 'onnx', onnx),
    ],
    agreement: (facts) => [
      ...(bf16 === undefined ? [] : [`bf16: ${differenceText(expected, bf16.data)}`]),
      ...[...facts].flatMap(([name, { images }]) => compareImages(name, expected, images)),
    ],
  };
}

/** PNG files, beside the same images that stay in memory: what encoding and writing cost. */
function onDisk({ folder, threads }: CaseContext, { checkpoint, config }: Model): Comparison {
  const options = { checkpoint, threads, folder: join(folder, `files-${config.imageSize}`) };
  return {
    label: `${config.imageSize} px, PNG files on disk`,
    unit: 'images',
    measure: 'rate',
    contenders: [
      { ...nodeContender('san-native', 'png', options), ours: true },
      { ...nodeContender('san-native, in memory', 'generate', { checkpoint, threads }), rival: false },
      pythonContender('PyTorch eager, Pillow', 'png.py', { ...options, weights: checkpoint, config }),
    ],
  };
}
