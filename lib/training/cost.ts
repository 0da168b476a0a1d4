/**
 * What a training step costs, worked out from the settings alone: parameters, floating-point operations, traffic and
 * memory. Shapes: spec section 1; passes through the networks: native/src/training/step.cpp.
 */
import type { Config } from '../config/schema.js';
import type { Device, ParameterInfo } from '../native.js';

/** Numbers in the parameters of one part of the networks. */
export interface PartParameters {
  part: string;
  /** In kernels that both networks use. */
  shared: number;
  generator: number;
  reverser: number;
  total: number;
}

/** Floating-point operations of all convolutions and linear layers, a multiplication and an addition counted as two. */
export interface StepFlops {
  forward: number;
  backward: number;
  /** What a step with the gradient penalty takes besides, both ways; 0 without the penalty. */
  penalty: number;
}

/** Bytes. */
export interface StateBytes {
  weights: number;
  /** Of both networks; shared kernels have two. */
  gradients: number;
  /** AdamW's two moments for each gradient. */
  moments: number;
  /** The generator's moving average. */
  average: number;
}

/** Bytes at the peak of a step. Measured against it in docs/configuration.md. */
export interface MemoryEstimate {
  /** Weights, gradients, moments, moving average, and what the passes leave for the backward pass. */
  device: number;
  /** The process with its libraries, and the images twice: as they were read, and as the trainer's copy. */
  host: number;
}

const FLOAT = 4;
/** Of a bfloat16. */
const HALF = 2;
const KERNEL = 9;
/** Bytes of Node, the image decoders and LibTorch, with what their code takes when it first runs. */
const PROCESS = 320e6;
/** By how much buffers for gradients of activations, workspaces and padding raise the saved numbers. */
const ACTIVATION_FACTOR = 1.05;
/** Gradients exist more than once while those of several passes are added up. */
const GRADIENT_FACTOR = 1.5;
/** What R(h), its gradient and their backward passes keep, in passes through a network. */
const PENALTY_PASSES = 3.5;
const BLOCKS_WITHOUT_STRIDE = 2;

/** Rows in the order of the networks: latent head, modules, image head. */
export function parametersByPart(parameters: readonly ParameterInfo[]): PartParameters[] {
  const parts = new Map<string, PartParameters>();
  for (const { name, shape } of parameters) {
    const [owner = '', place = ''] = name.split('.');
    const part = place.replace(/^m(\d)$/, 'module $1').replace(/^(latent|image)$/, '$1 head');
    const row = parts.get(part) ?? { part, shared: 0, generator: 0, reverser: 0, total: 0 };
    const count = product(shape);
    row[owner === 'generator' || owner === 'reverser' ? owner : 'shared'] += count;
    row.total += count;
    parts.set(part, row);
  }
  const rank = (part: string) => (part.startsWith('module') ? 1 : part.startsWith('latent') ? 0 : 2);
  return [...parts.values()].sort((a, b) => rank(a.part) - rank(b.part) || a.part.localeCompare(b.part));
}

export function sumOfParts(parts: readonly PartParameters[]): PartParameters {
  const sum = (key: Exclude<keyof PartParameters, 'part'>) => parts.reduce((all, row) => all + row[key], 0);
  return {
    part: 'total',
    shared: sum('shared'),
    generator: sum('generator'),
    reverser: sum('reverser'),
    total: sum('total'),
  };
}

export function stateBytes({ shared, generator, reverser }: PartParameters): StateBytes {
  const trained = 2 * shared + generator + reverser;
  return {
    weights: FLOAT * (shared + generator + reverser),
    gradients: FLOAT * trained,
    moments: FLOAT * 2 * trained,
    average: FLOAT * (shared + generator),
  };
}

/**
 * Bytes that the optimizer reads and writes in a step: native/src/ops/shared_step/params.h has the count for a shared
 * kernel; a network's own parameter has one gradient and two moments, and in the reverser no moving average.
 */
export const optimizerTraffic = ({ shared, generator, reverser }: PartParameters): number =>
  FLOAT * (14 * shared + 9 * generator + 7 * reverser);

/**
 * Of a step of `config`. The backward pass is twice the forward pass, for the gradients of inputs and of weights.
 * LLZ with other weights than LGD and LRZ takes a backward pass through R(G(Z)) of its own. Taken in several passes, a batch
 * goes forward once more, for the distances between all latents. With `recompute` each backward pass has a forward pass in it.
 */
export function stepFlops(config: Config): StepFlops {
  const { batchSize, accumulate, penaltyWeight } = config;
  const one = 2 * batchSize * passMacs(config);
  const judged = judgedPasses(config);
  const forward = (generatorPasses(config) + 1 + judged) * one;
  const again = config.recompute ? forward : 0;
  return {
    forward: accumulate > 1 ? 2 * forward : forward,
    backward:
      2 * forward + again + (needsSecondBackward(config) ? (config.recompute ? 2 : 1) * judged * one : 0),
    // R(h) forwards, its gradient for h, and the backward passes of both.
    penalty: penaltyWeight === 0 ? 0 : 6 * one,
  };
}

/**
 * For training on `images` images. The factors are fitted to the peaks of real runs on a CPU. On a GPU bf16 halves what the passes
 * keep; on a processor, where operations are of float32, it does not.
 */
export function memoryEstimate(
  config: Config,
  parameters: PartParameters,
  images: number,
  device: Device = 'cpu',
): MemoryEstimate {
  const { weights, gradients, moments, average } = stateBytes(parameters);
  const { batchSize, accumulate, imageSize, imageChannels, penaltyWeight, precision, recompute } = config;
  const passes = generatorPasses(config) + 1 + judgedPasses(config);
  const kept = passes * (recompute ? recomputedNumbers(config) : savedNumbers(config));
  // A module that runs again keeps its own numbers meanwhile; the penalty recomputes nothing.
  const atOnce = recompute ? generatorPasses(config) * largestModule(config) : 0;
  const penalty = penaltyWeight === 0 ? 0 : PENALTY_PASSES * savedNumbers(config);
  const rows = ACTIVATION_FACTOR * (batchSize / accumulate);
  const rough = precision === 'bf16' && device !== 'cpu';
  const activations = rows * ((rough ? HALF : FLOAT) * (kept + atOnce) + FLOAT * penalty);
  const copies = rough ? (HALF / FLOAT) * weights : 0;
  return {
    device: weights + copies + moments + average + GRADIENT_FACTOR * gradients + activations,
    host: PROCESS + 2 * images * imageSize ** 2 * imageChannels,
  };
}

/** Operations of an average step. */
export function meanFlops(flops: StepFlops, { penaltyEvery }: Config): number {
  return flops.forward + flops.backward + flops.penalty / penaltyEvery;
}

/** R always runs on G(Z), and on X; where LGD has a share of reconstructions on these as well. */
const judgedPasses = ({ reconstructionShare }: Config): number => (reconstructionShare > 0 ? 2 : 1);

/** In the cycle G runs on Z and on R(X). */
const generatorPasses = ({ pairing }: Config): number => (pairing === 'cycle' ? 2 : 1);

function needsSecondBackward({ wLZ, wGD, wRZ, repulsionWeight }: Config): boolean {
  if (wLZ === 0) return wGD === 0 && (repulsionWeight > 0 || wRZ !== 0);
  return repulsionWeight > 0 || wRZ !== wGD;
}

/** Multiply-adds of one image through one network: R does what G does, in the other order. */
export function passMacs(config: Config): number {
  const { latentChannels, latentSize, widths, imageChannels, imageSize } = config;
  const heads =
    latentChannels * (widths[0] ?? 0) * latentSize ** 2 +
    KERNEL * (widths[6] ?? 0) * imageChannels * imageSize ** 2;
  return modulesOf(config).reduce((sum, module) => sum + moduleMacs(config, module), heads);
}

/**
 * Numbers that one image leaves in memory between the forward and the backward pass of one network: the inputs of
 * convolutions, gates and norms.
 */
export function savedNumbers(config: Config): number {
  const { widths, latentSize, imageChannels, imageSize } = config;
  const heads = (widths[0] ?? 0) * latentSize ** 2 + 2 * imageChannels * imageSize ** 2;
  return modulesOf(config).reduce((sum, module) => sum + moduleSaved(config, module), heads);
}

/** As savedNumbers(), where modules keep their inputs alone. */
export function recomputedNumbers(config: Config): number {
  const { imageChannels, imageSize } = config;
  return modulesOf(config).reduce(
    (sum, { inner, low, outer, high }) => sum + (inner * low ** 2 + outer * high ** 2) / 2,
    2 * imageChannels * imageSize ** 2,
  );
}

const largestModule = (config: Config): number =>
  Math.max(...modulesOf(config).map((module) => moduleSaved(config, module)));

/** A module as the generator sees it: R goes from the outer to the inner side. */
interface Module {
  /** Channels and width in pixels on the side of the latent. */
  inner: number;
  low: number;
  /** On the side of the image. */
  outer: number;
  high: number;
}

function modulesOf({ widths, strides, latentSize }: Config): Module[] {
  let low = latentSize;
  return strides.map((stride, m) => {
    const module = { inner: widths[m] ?? 0, outer: widths[m + 1] ?? 0, low, high: low * stride };
    low = module.high;
    return module;
  });
}

const hidden = (channels: number, ratio: number): number => Math.max(4, Math.floor(channels * ratio));

/** Width of what a 3×3 convolution of stride 2 and padding 1 gives. */
const halved = (size: number): number => Math.ceil(size / 2);

function moduleMacs(config: Config, { inner, outer, low, high }: Module): number {
  const { adoRatio, rpaRatio, attentionRatio } = config;
  const ado = 2 * KERNEL * inner * hidden(inner, adoRatio) * low ** 2;
  const half = halved(high);
  const rpa = KERNEL * outer * hidden(outer, rpaRatio) * (half ** 2 + halved(half) ** 2);
  const blocks = KERNEL * outer * (inner * low ** 2 + BLOCKS_WITHOUT_STRIDE * outer * high ** 2);
  const attention = (channels: number) => 2 * channels * hidden(channels, attentionRatio);
  return ado + rpa + blocks + attention(inner) + BLOCKS_WITHOUT_STRIDE * attention(outer);
}

function moduleSaved({ adoRatio, rpaRatio }: Config, { inner, outer, low, high }: Module): number {
  const [lowPixels, highPixels, half] = [low ** 2, high ** 2, halved(high)];
  // Normalised input, logits, attention and result; the hidden layer before and after its activation and its norm.
  const ado = (4 * inner + 3 * hidden(inner, adoRatio)) * lowPixels;
  // Hidden layer before and after its norm, the gate likewise, the gate at full size, and the result.
  const rpa =
    2 * hidden(outer, rpaRatio) * half ** 2 + 2 * outer * halved(half) ** 2 + 2 * outer * highPixels;
  // Of each block the scaled input, the convolution and the sum.
  const blocks = inner * lowPixels + (2 + 3 * BLOCKS_WITHOUT_STRIDE) * outer * highPixels;
  return ado + rpa + blocks;
}

const product = (numbers: readonly number[]): number => numbers.reduce((a, b) => a * b, 1);
