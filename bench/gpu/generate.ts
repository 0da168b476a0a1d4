/** Images drawn on a GPU, 8-bit in main memory, beside PyTorch with the same weights. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeSafetensors } from '../../lib/checkpoint/safetensors.js';
import { San } from '../../lib/generation/san.js';
import type { LatentBatch } from '../../lib/native.js';
import {
  type BenchCase,
  type CaseContext,
  type Comparison,
  type Contender,
  compilerCache,
  nodeContender,
  pythonContender,
} from '../case.js';
import { freshModel, normalTensor } from '../fixtures.js';
import { CHECKED, compareRoughly, inBf16 } from '../generation.js';
import { compileMode, settingAt } from '../gpu-settings.js';
import type { Setting } from '../training.js';

/** Images asked for at a time. */
const CHUNK = 2048;
const QUICK_CHUNK = 16;

const generate: BenchCase = {
  description: 'images in bf16 beside PyTorch, eager and compiled by max-autotune',
  sizes: [32, 64, 128, 256],
  async *comparisons(context) {
    for (const size of context.sizes) yield await comparisonOf(context, settingAt(size, context.quick));
  },
};
export default generate;

async function comparisonOf(
  { folder, threads, device, quick }: CaseContext,
  setting: Setting,
): Promise<Comparison> {
  const { checkpoint, config } = await freshModel(folder, setting.values);
  const { latentChannels, latentSize, imageSize } = config;
  const z = await normalTensor('z', [CHECKED, latentChannels, latentSize, latentSize], 1);
  const latents = join(folder, `latents-${imageSize}.safetensors`);
  await writeFile(latents, Buffer.concat(encodeSafetensors([z])));
  const given: LatentBatch = {
    data: new Float32Array(z.data.slice().buffer),
    shape: [CHECKED, latentChannels, latentSize, latentSize],
  };
  await using exact = await San.load(checkpoint, { threads, device: 'cpu' });
  const expected = await exact.decode(given);
  const chunk = quick ? QUICK_CHUNK : CHUNK;
  const ours = { checkpoint, threads, device, chunk };
  // Only a processor, in a test of the case, may lack it.
  const hasBf16 = (await inBf16(checkpoint, given, device)) !== undefined;
  const peer = {
    weights: checkpoint,
    latents,
    threads,
    device,
    precision: 'bf16',
    config,
    cache: compilerCache(folder),
    ...(quick && { batches: [QUICK_CHUNK] }),
  };
  const exactly = nodeContender('san-native fp32', 'generate', ours);
  const mine: Contender[] = hasBf16
    ? [
        {
          ...nodeContender('san-native bf16', 'generate', {
            ...ours,
            precision: 'bf16',
            latents: [...given.data],
            shape: given.shape,
          }),
          ours: true,
        },
        { ...exactly, rival: false },
      ]
    : [{ ...exactly, ours: true }];
  return {
    label: `${imageSize} px, ${setting.name}, asked for ${chunk} at a time`,
    unit: 'images',
    measure: 'rate',
    contenders: [
      ...mine,
      pythonContender('PyTorch eager bf16', 'generate.py', { ...peer, compile: false }),
      pythonContender('torch.compile bf16', 'generate.py', { ...peer, compile: compileMode(device) }),
    ],
    agreement: (facts) => [...facts].flatMap(([name, { images }]) => compareRoughly(name, expected, images)),
  };
}
