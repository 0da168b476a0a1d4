/** Images drawn, 8-bit in memory and as PNG files, beside PyTorch and onnxruntime with the same weights. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeSafetensors } from '../../lib/checkpoint/safetensors.js';
import { presets } from '../../lib/config/presets.js';
import { exportOnnx } from '../../lib/export/export.js';
import { San } from '../../lib/generation/san.js';
import { type LatentBatch, loadAddon } from '../../lib/native.js';
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
      for (const { name, values } of settingsOf(size, context.quick)) {
        const network: Network = { name, ...(await freshModel(context.folder, values)) };
        yield await inMemory(context, network);
        yield onDisk(context, network);
      }
    }
  },
};
export default generate;

/** What is drawn with, and what the tables call it. */
interface Network extends Model {
  name: string;
}

function settingsOf(size: number, quick: boolean) {
  const quickstart = { name: 'quickstart widths', values: { ...presets.quickstart, imageSize: size } };
  const preset = presets[String(size) as keyof typeof presets];
  return quick || preset === undefined
    ? [quickstart]
    : [quickstart, { name: `preset ${size}`, values: preset }];
}

async function inMemory(
  { folder, threads }: CaseContext,
  { name, checkpoint, config }: Network,
): Promise<Comparison> {
  const { latentChannels, latentSize, imageSize } = config;
  const z = await normalTensor('z', [CHECKED, latentChannels, latentSize, latentSize], 1);
  const latents = join(folder, fileName(`latents of ${name}-${imageSize}.safetensors`));
  await writeFile(latents, Buffer.concat(encodeSafetensors([z])));
  await using san = await San.load(checkpoint, { threads });
  const numbers = new Float32Array(z.data.slice().buffer);
  const given: LatentBatch = { data: numbers, shape: [CHECKED, latentChannels, latentSize, latentSize] };
  const expected = await san.decode(given);
  const bf16 = await inBf16(checkpoint, given);
  const { files } = await exportOnnx({
    checkpoint,
    out: join(folder, fileName(`generator of ${name}-${imageSize}.onnx`)),
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
    label: `${imageSize} px, ${name}`,
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
function onDisk({ folder, threads }: CaseContext, { name, checkpoint, config }: Network): Comparison {
  const options = {
    checkpoint,
    threads,
    folder: join(folder, fileName(`files of ${name}-${config.imageSize}`)),
  };
  return {
    label: `${config.imageSize} px, ${name}, PNG files on disk`,
    unit: 'images',
    measure: 'rate',
    // Pillow's files are left in memory, and our sync would write them too.
    settle: async () => {
      await loadAddon().syncFileSystem({ path: folder });
    },
    contenders: [
      { ...nodeContender('san-native', 'png', options), ours: true },
      { ...nodeContender('san-native, in memory', 'generate', { checkpoint, threads }), rival: false },
      pythonContender('PyTorch eager, Pillow', 'png.py', { ...options, weights: checkpoint, config }),
    ],
  };
}

const fileName = (text: string): string => text.replaceAll(' ', '-');
