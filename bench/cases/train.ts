/** A training step beside PyTorch: the same weights, inputs of the same kind, the same work (spec section 3). */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeSafetensors } from '../../lib/checkpoint/safetensors.js';
import { presets } from '../../lib/config/presets.js';
import { type Config, lossOptions, modelOptions, optimizerOptions } from '../../lib/config/schema.js';
import { type FixedInputs, LOSS_NAMES, type Losses, loadAddon } from '../../lib/native.js';
import {
  type BenchCase,
  type CaseContext,
  type Comparison,
  compilerCache,
  Disagreement,
  nodeContender,
  pythonContender,
} from '../case.js';
import { freshModel, type Model, normalTensor, someImages } from '../fixtures.js';

const IMAGES = 256;
/** Steps on fixed inputs that every contender takes first; the losses of the last must be ours. */
const CHECKED_STEPS = 3;
/** Relative, of the first step: float32 rounds, and ADO's threshold makes a step of what falls beside it. */
const TOLERANCE = 1e-3;
/** Of those after it: AdamW makes a sign of a gradient near zero, which large networks soon show. */
const TOLERANCE_LATER = 0.1;
/** A run that is nothing but steps. */
const STEPS_ALONE = { steps: 1e9, sampleEvery: 0, checkpointEvery: 0 };

interface Setting {
  name: string;
  values: Record<string, unknown>;
}

const settingsOf = (size: number, quick: boolean): Setting[] => {
  const { quickstart } = presets;
  const named = size >= 128 ? '128' : size >= 64 ? '64' : '32';
  const batchSize = Math.max(2, Math.min(16, 512 / size));
  const quickstartAt = { name: 'quickstart', values: { ...quickstart, imageSize: size } };
  const presetAt = { name: `preset ${named}`, values: { ...presets[named], imageSize: size, batchSize } };
  return quick
    ? [{ ...quickstartAt, values: { ...quickstartAt.values, batchSize: 4 } }]
    : [quickstartAt, presetAt];
};

const train: BenchCase = {
  description: 'training steps beside PyTorch, eager and compiled',
  sizes: [32, 64],
  async *comparisons(context) {
    for (const size of context.sizes)
      for (const setting of settingsOf(size, context.quick)) yield await comparisonOf(context, setting);
  },
};
export default train;

async function comparisonOf({ folder, threads }: CaseContext, setting: Setting): Promise<Comparison> {
  const values = { ...setting.values, ...STEPS_ALONE, threads };
  const model = await freshModel(folder, values);
  const { config } = model;
  const images = await someImages(folder, config, IMAGES);
  const inputs = fixedInputs(config);
  const inputsPath = join(folder, `inputs-${setting.name}-${config.imageSize}.safetensors`);
  await writeFile(inputsPath, Buffer.concat(encodeSafetensors(Object.values(inputs))));
  const expected = await lossesOf(model, inputs);
  const peer = {
    weights: model.checkpoint,
    images: images.raw,
    inputs: inputsPath,
    checked_steps: CHECKED_STEPS,
    cache: compilerCache(folder),
    threads,
    config,
  };
  const out = join(folder, `run-${setting.name.replace(' ', '-')}-${config.imageSize}`);
  return {
    label: `${config.imageSize} px, ${setting.name}, batch ${config.batchSize}`,
    unit: 'images',
    measure: 'rate',
    contenders: [
      {
        ...nodeContender('san-native', 'train', {
          ...values,
          data: images.folder,
          out,
          initFrom: model.checkpoint,
        }),
        ours: true,
      },
      pythonContender('PyTorch eager', 'train.py', { ...peer, compile: false }),
      pythonContender('torch.compile', 'train.py', { ...peer, compile: true }),
    ],
    agreement: (facts) => agreementOf(expected, facts),
  };
}

function fixedInputs({
  batchSize,
  latentChannels,
  latentSize,
  imageChannels,
  imageSize,
}: Config): FixedInputs {
  const numbers = latentChannels * latentSize ** 2;
  return {
    z: normalTensor('z', [batchSize, latentChannels, latentSize, latentSize], 1),
    x: normalTensor('x', [batchSize, imageChannels, imageSize, imageSize], 2),
    directions: normalTensor('directions', [numbers, 8], 3),
  };
}

/** Our losses of each checked step. */
async function lossesOf({ config, tensors }: Model, inputs: FixedInputs): Promise<Losses[]> {
  const trainer = await loadAddon().createTrainer({
    model: modelOptions(config),
    loss: lossOptions(config),
    optimizer: optimizerOptions(config),
    seed: config.seed,
    batchSize: config.batchSize,
    state: { step: 0, skipped: 0, tensors },
  });
  const losses: Losses[] = [];
  for (let step = 0; step < CHECKED_STEPS; step++) losses.push((await trainer.stepOn(inputs)).losses);
  await trainer.dispose();
  return losses;
}

function agreementOf(expected: Losses[], facts: ReadonlyMap<string, Record<string, unknown>>): string[] {
  return [...facts].flatMap(([name, { losses, how }]) => {
    if (losses === undefined) return [];
    const differences = (losses as Partial<Losses>[]).map((found, step) =>
      Math.max(
        ...LOSS_NAMES.flatMap((loss) => {
          const [ours, theirs] = [expected[step]?.[loss] ?? Number.NaN, found[loss]];
          return theirs === undefined ? [] : [Math.abs(ours - theirs) / Math.max(Math.abs(ours), 1e-6)];
        }),
      ),
    );
    const shown = differences.map((difference) => difference.toExponential(0)).join(', ');
    if (!differences.every((difference, step) => difference < (step === 0 ? TOLERANCE : TOLERANCE_LATER)))
      throw new Disagreement(name, `computes other losses than we do: relative differences ${shown}`);
    return [`${name}: ${how}; relative difference of the losses in steps 1 to ${expected.length}: ${shown}`];
  });
}
