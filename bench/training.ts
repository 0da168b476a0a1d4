/** Training steps beside PyTorch: the same weights, inputs of the same kind, the same work (spec section 3). */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeSafetensors } from '../lib/checkpoint/safetensors.js';
import { type Config, lossOptions, modelOptions, optimizerOptions } from '../lib/config/schema.js';
import { type FixedInputs, LOSS_NAMES, type Losses, loadAddon, type Precision } from '../lib/native.js';
import {
  type CaseContext,
  type Comparison,
  compilerCache,
  Disagreement,
  nodeContender,
  pythonContender,
} from './case.js';
import { freshModel, type Model, normalTensor, someImages } from './fixtures.js';

const IMAGES = 256;
/** Relative differences that roundings may make in the losses, of the first step and of those after it. */
interface Tolerance {
  first: number;
  /** AdamW makes a sign of a gradient near zero, which large networks soon show. */
  later: number;
}
/** ADO's threshold makes a step of what falls beside it, in bf16 of much. */
const TOLERANCES = {
  fp32: { first: 1e-3, later: 0.1 },
  bf16: { first: 0.3, later: 1 },
} satisfies Partial<Record<Precision, Tolerance>>;
/** A run that is nothing but steps. */
const STEPS_ALONE = { steps: 1e9, sampleEvery: 0, checkpointEvery: 0 };

export interface Setting {
  name: string;
  /** Config keys. */
  values: Record<string, unknown>;
}

export interface TrainingOptions {
  precision: keyof typeof TOLERANCES;
  /** As torch.compile is asked for its mode; true is none. */
  compile: true | 'max-autotune';
  /** Steps on fixed inputs that every peer takes first. */
  checkedSteps: number;
}

export async function trainingComparison(
  { folder, threads, device }: CaseContext,
  setting: Setting,
  { precision, compile, checkedSteps }: TrainingOptions,
): Promise<Comparison> {
  const values = { ...setting.values, ...STEPS_ALONE, threads, device, precision };
  const model = await freshModel(folder, values);
  const { config } = model;
  const images = await someImages(folder, config, IMAGES);
  const inputs = await fixedInputs(config);
  const inputsPath = join(folder, `inputs-${setting.name}-${config.imageSize}.safetensors`);
  await writeFile(inputsPath, Buffer.concat(encodeSafetensors(Object.values(inputs))));
  const expected = await lossesOf(model, inputs, checkedSteps);
  const peer = {
    weights: model.checkpoint,
    images: images.raw,
    inputs: inputsPath,
    checked_steps: checkedSteps,
    cache: compilerCache(folder),
    threads,
    device,
    precision,
    config,
  };
  const out = join(folder, `run-${setting.name.replace(' ', '-')}-${config.imageSize}`);
  const suffix = precision === 'fp32' ? '' : ` ${precision}`;
  return {
    label: `${config.imageSize} px, ${setting.name}, batch ${config.batchSize}`,
    unit: 'images',
    measure: 'rate',
    contenders: [
      {
        ...nodeContender(`san-native${suffix}`, 'train', {
          ...values,
          data: images.folder,
          out,
          initFrom: model.checkpoint,
        }),
        ours: true,
      },
      pythonContender(`PyTorch eager${suffix}`, 'train.py', { ...peer, compile: false }),
      pythonContender(`torch.compile${suffix}`, 'train.py', { ...peer, compile }),
    ],
    agreement: (facts) => agreementOf(expected, TOLERANCES[precision], facts),
  };
}

async function fixedInputs({
  batchSize,
  latentChannels,
  latentSize,
  imageChannels,
  imageSize,
}: Config): Promise<FixedInputs> {
  const numbers = latentChannels * latentSize ** 2;
  return {
    z: await normalTensor('z', [batchSize, latentChannels, latentSize, latentSize], 1),
    x: await normalTensor('x', [batchSize, imageChannels, imageSize, imageSize], 2),
    directions: await normalTensor('directions', [numbers, 8], 3),
  };
}

/** Our losses of each checked step, in float32 on the processor. */
async function lossesOf({ config, tensors }: Model, inputs: FixedInputs, steps: number): Promise<Losses[]> {
  const trainer = await loadAddon().createTrainer({
    model: modelOptions(config),
    // What the penalty looks at is drawn, by each program for itself.
    loss: { ...lossOptions(config), penaltyWeight: 0 },
    optimizer: optimizerOptions(config),
    seed: config.seed,
    batchSize: config.batchSize,
    state: { step: 0, skipped: 0, tensors },
  });
  const losses: Losses[] = [];
  for (let step = 0; step < steps; step++) losses.push((await trainer.stepOn(inputs)).losses);
  await trainer.dispose();
  return losses;
}

function agreementOf(
  expected: Losses[],
  tolerance: Tolerance,
  facts: ReadonlyMap<string, Record<string, unknown>>,
): string[] {
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
    const within = differences.every(
      (difference, step) => difference < (step === 0 ? tolerance.first : tolerance.later),
    );
    if (!within)
      throw new Disagreement(name, `computes other losses than we do: relative differences ${shown}`);
    return [
      `${name}: ${how}; relative difference from our losses in float32 in steps 1 to ${expected.length}: ${shown}`,
    ];
  });
}
