/**
 * The one list of settings. Types, defaults, ranges, command-line flags, help text, the frozen config file and a
 * checkpoint's metadata all come from here. Keys are flat; the groups below only order them and head the help.
 * Formulas and symbols: spec sections 1 to 3.
 */
import { z } from 'zod';
import {
  type AugmentationOptions,
  DATA_DEVICES,
  LOSS_NAMES,
  type LossOptions,
  type ModelOptions,
  type OptimizerOptions,
} from '../native.js';
import type { Architecture } from './architecture.js';
import { AUGMENTATION_NAMES } from './augmentation.js';

const whole = (min: number, max: number) => z.int().min(min).max(max);
const real = (min: number, max: number) => z.number().min(min).max(max);
const weight = (value: number) => real(0, 1e6).default(value);
const ratio = (value: number) => z.number().gt(0).max(1).default(value);
/** The largest number of steps, and of steps between two events. */
const LONGEST = 1e9;
const course = (description: string) =>
  z.enum(['constant', 'linear', 'cosine']).default('constant').describe(description);
/** Numbers that a run measures besides its losses: lib/metrics says what each is. */
export const METRIC_NAMES = [
  'swd',
  'diversity',
  'sharpness',
  'reconstruction',
  'latentMean',
  'latentVariance',
  'latentCovariance',
  'fd',
  'kid',
  'precision',
  'recall',
] as const;
export type MetricName = (typeof METRIC_NAMES)[number];
/** Of these a larger value is a better one. */
export const LARGER_IS_BETTER: ReadonlySet<string> = new Set<MetricName>(['precision', 'recall']);
/** Of these the best value is that of real images, and others are the worse the further they are from it. */
export const ONE_IS_BEST: ReadonlySet<string> = new Set<MetricName>(['diversity', 'sharpness']);
/** These compare features of images, which an extractor gives. */
export const OF_FEATURES: ReadonlySet<string> = new Set<MetricName>(['fd', 'kid', 'precision', 'recall']);
/** Images of fewer pixels have no level of the pyramids that swd compares. */
export const LEAST_SIZE_OF_SWD = 16;
/** How bad a value of a metric or loss is: the smaller, the better. */
export const badness = (name: string, value: number): number =>
  ONE_IS_BEST.has(name) ? Math.abs(value - 1) : LARGER_IS_BETTER.has(name) ? -value : value;

const imageKeys = {
  imageSize: whole(4, 1024).default(32).describe('Width and height of the images in pixels'),
  background: z
    .string()
    .regex(/^#[0-9a-fA-F]{6}$/)
    .default('#ffffff')
    .describe('Colour under transparent pixels')
    .meta({ expected: 'a colour such as "#ffffff"' }),
  crop: z
    .enum(['cover', 'contain', 'stretch'])
    .default('cover')
    .describe(
      'How an image becomes square: its middle, all of it with background around, or all of it pulled',
    ),
  maxPixels: whole(1, 1e12).default(100_000_000).describe('Larger images are skipped, in pixels'),
};

const augmentation = (low: number, high: number, description: string) =>
  real(low, high).exactOptional().describe(description).meta({ derivation: 'by augment' });
const probability = (of: string) => augmentation(0, 1, `Probability of ${of}`);

/** What training sees of an image changes from epoch to epoch; docs/data.md has formulas and pictures. */
const augmentationKeys = {
  augment: z
    .enum(AUGMENTATION_NAMES)
    .default('none')
    .describe('Set of augmentations that the keys below are derived from'),
  flipHorizontal: probability('a mirror image, left for right'),
  flipVertical: probability('a mirror image, top for bottom'),
  rotate90: probability('a turn by 90, 180 or 270 degrees'),
  rotate: augmentation(0, 180, 'Largest turn to either side in degrees'),
  rotateProbability: probability('such a turn'),
  translate: augmentation(0, 0.5, 'Largest shift in each direction, as a share of the width'),
  translateProbability: probability('a shift'),
  cropScale: augmentation(0.01, 1, 'Smallest area of a random crop, as a share of the image'),
  cropProbability: probability('a crop'),
  brightness: augmentation(0, 1, 'Largest change of brightness, as a share'),
  brightnessProbability: probability('another brightness'),
  contrast: augmentation(0, 1, 'Largest change of contrast, as a share'),
  contrastProbability: probability('another contrast'),
  saturation: augmentation(0, 1, 'Largest change of saturation, as a share'),
  saturationProbability: probability('another saturation'),
  hue: augmentation(0, 0.5, 'Largest turn of the hue to either side, in whole turns'),
  hueProbability: probability('another hue'),
  cutout: augmentation(0, 1, 'Side of a grey square over the image, as a share of the width'),
  cutoutProbability: probability('such a square'),
};

const widthKeys = {
  baseWidth: whole(1, 4096).default(16).describe('Channels at full resolution, doubled with each halving'),
  maxWidth: whole(1, 4096).default(128).describe('Most channels at any resolution'),
};

const modelKeys = {
  imageChannels: z.literal([1, 3]).default(3).describe('Channels of an image: grey or colour'),
  widths: z
    .array(whole(1, 4096))
    .length(7)
    .exactOptional()
    .describe('Channels before, between and after the six modules')
    .meta({ derivation: 'from base and max width' }),
  strides: z
    .array(z.literal([1, 2]))
    .length(6)
    .exactOptional()
    .describe('Stride of each of the six modules')
    .meta({ expected: '6 numbers, each 1 or 2', derivation: 'from the image size' }),
  latentChannels: whole(1, 4096)
    .exactOptional()
    .describe('Channels of the latent')
    .meta({ derivation: '4 or more for about 64 numbers in all' }),
  latentSize: whole(1, 1024)
    .exactOptional()
    .describe('Width and height of the latent')
    .meta({ derivation: 'from the image size' }),
  adoThreshold: real(0, 1).default(0.1).describe('ADO lets a value pass from this attention on'),
  adoRatio: ratio(0.5).describe('Hidden channels of ADO, relative to its input'),
  rpaRatio: ratio(0.5).describe('Hidden channels of RPA, relative to its input'),
  attentionRatio: ratio(0.25).describe('Hidden channels of the channel attention, relative to its input'),
};

/** The defaults of lgiScales, wLZ, repulsion and penalty are not the spec's, whose pictures blur: docs/ablations.md measures both. */
const lossKeys = {
  estimator: z
    .enum(['normal', 'sliced', 'sinkhorn', 'dual'])
    .default('normal')
    .describe('How the Wasserstein distance between latents is estimated'),
  projections: whole(1, 65536).default(64).describe('Random directions per step for the distance'),
  pairing: z
    .enum(['cycle', 'assigned', 'random'])
    .default('cycle')
    .describe('Which latent meets which real image in LGI'),
  wGD: weight(0.3).describe('Weight of LGD, the distance of R(G(Z)) from the prior, in the loss of G'),
  wGI: weight(1).describe('Weight of LGI, the squared error of paired images, in the loss of G'),
  lgiScales: z
    .array(real(0, 1e6))
    .min(1)
    .max(10)
    .default([0.1, 0, 1])
    .describe(
      'Weights of LGI at full resolution, half of it, and so on; more of it on coarse scales blurs less',
    )
    .meta({ expected: 'a list of numbers such as 0.1,0,1' }),
  wRZ: weight(1).describe('Weight of LRZ in the loss of R; without effect under repulsion'),
  wRX: weight(1).describe('Weight of LRX, the distance of R(X) from the prior, in the loss of R'),
  wLZ: weight(0.1).describe('Weight of LLZ, the squared error of R(G(Z)) against Z, in both losses'),
  repulsionWeight: weight(1).describe('Weight of R driving generated latents off the prior; 0 turns it off'),
  repulsionMargin: real(0, 1e6).default(1).describe('Distance at which repulsion ends'),
  repulsionForm: z
    .enum(['hinge', 'exponential'])
    .default('exponential')
    .describe('Whether repulsion ends at the margin, or fades out over margins of distance'),
  penaltyWeight: weight(1).describe('Weight of the gradient penalty on R; 0 turns it off'),
  penaltyEvery: whole(1, 65536).default(4).describe('Steps between two gradient penalties'),
  penaltyForm: z
    .enum(['wgan-gp', 'r1'])
    .default('wgan-gp')
    .describe(
      'Whether R is to have slopes of 1 between real and generated images, or small ones at real images',
    ),
  sinkhornEpsilon: real(1e-6, 1e6).default(0.05).describe('Entropic blur of the sinkhorn estimator'),
  sinkhornIterations: whole(1, 65536).default(100).describe('Iterations of the sinkhorn estimator'),
  reverserShift: real(0, 0.5)
    .default(0)
    .describe(
      'Largest shift of what R sees, real and generated images alike, as a share of the width; for small sets',
    ),
  reverserShiftProbability: real(0, 1).default(0.7).describe('Probability of such a shift'),
  reconstructionShare: real(0, 1)
    .default(0)
    .describe(
      'Share of LGD and of repulsion that is of reconstructions, not of G(Z): sharper ones, for slower samples',
    ),
};

const optimizerKeys = {
  learningRate: z.number().gt(0).max(1).default(1e-3).describe('Step size of AdamW'),
  weightDecay: real(0, 1).default(1e-2).describe('Decoupled weight decay, not on biases'),
  lambda: real(0, 1).default(0.5).describe("Share of G's update in a shared kernel; R has the rest"),
  emaDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.99)
    .describe("Decay per step of the moving average of G's weights"),
  checkerboardFree: z
    .boolean()
    .default(false)
    .describe('Holds the last two kernels of stride 2 to those that draw no checkerboards'),
};

/** What the constants above become from step to step: lib/training/schedule.ts has the formulas. */
const scheduleKeys = {
  learningRateWarmup: whole(0, LONGEST)
    .default(0)
    .describe('Steps over which the learning rate rises from near 0 to its value'),
  learningRateSchedule: course('What the learning rate does from there to the last step'),
  learningRateFinal: real(0, 1)
    .default(0)
    .describe('Learning rate at the last step, unless the schedule is constant'),
  lambdaSchedule: course('What lambda does from the first step to the last'),
  lambdaFinal: real(0, 1).default(0.5).describe('Lambda at the last step, unless its schedule is constant'),
  emaHalfLife: z
    .number()
    .gt(0)
    .max(1e12)
    .exactOptional()
    .describe('Images after which half of the moving average is new, in place of emaDecay')
    .meta({ derivation: 'by emaDecay' }),
  emaRampUp: real(0, 1e6)
    .default(0)
    .describe('The half-life is at most so many times the images seen, such as 0.05; 0 means no limit'),
  repulsionWarmup: whole(0, LONGEST)
    .default(0)
    .describe('Steps over which the weight of repulsion rises from near 0 to its value'),
};

export const MOST_THREADS = 1024;
/** Names of devices: docs/cuda.md. */
export const DEVICE = /^(auto|cpu|cuda(:\d{1,3})?)$/;

const runKeys = {
  batchSize: whole(2, 65536).default(64).describe('Images per step'),
  accumulate: whole(1, 65536)
    .default(1)
    .describe('Passes that a batch is taken in: more need less memory and more time, the result is the same'),
  steps: whole(1, LONGEST).default(2000).describe('Steps of the whole run'),
  seed: z.int().min(0).default(1).describe('Fixes everything random: one seed, one result'),
  dataDevice: z
    .enum(DATA_DEVICES)
    .default('auto')
    .describe('Where a run on a GPU keeps the images; auto is there, if they take a quarter of what is free'),
  threads: whole(1, MOST_THREADS)
    .exactOptional()
    .describe('CPU threads')
    .meta({ derivation: 'physical cores' }),
  device: z
    .string()
    .regex(DEVICE)
    .default('auto')
    .describe('Where training runs; auto is the first CUDA device, or the processor where there is none')
    .meta({ expected: 'auto, cpu, cuda or one of several such as cuda:1' }),
  precision: z
    .enum(['fp32', 'tf32', 'bf16'])
    .default('fp32')
    .describe('What convolutions and activations are computed in; weights, losses and penalty stay float32'),
  recompute: z
    .boolean()
    .default(false)
    .describe(
      'Runs modules again in the backward pass rather than keep what they computed: less memory, more time',
    ),
  logEvery: whole(1, LONGEST).default(10).describe('Steps that one line of metrics.jsonl sums up'),
  sampleEvery: whole(0, LONGEST)
    .default(200)
    .describe('Steps between two sample grids; 0 draws one at the end'),
  sampleCount: whole(1, 1024).default(64).describe('Images in a sample grid'),
  checkpointEvery: whole(0, LONGEST)
    .default(500)
    .describe('Steps between two checkpoints; 0 writes one at the end'),
  keepLast: whole(0, LONGEST).default(3).describe('Newest checkpoints that are kept; 0 keeps all'),
  keepEvery: whole(0, LONGEST)
    .default(0)
    .describe('Checkpoints at multiples of so many steps are kept as well; 0 keeps none besides the newest'),
};

/** Names that a line of metrics.jsonl may hold a number under. */
export const MEASURED = [...LOSS_NAMES, ...METRIC_NAMES] as const;
export type Measured = (typeof MEASURED)[number];
const measured = z.enum(MEASURED);
/** A loss or metric, a comparison and a bound: "lgi<0.02". */
export const TARGET = new RegExp(`^(${MEASURED.join('|')})\\s*([<>])\\s*(-?\\d*\\.?\\d+(?:e[+-]?\\d+)?)$`);

const stoppingKeys = {
  maxImages: whole(1, 1e15)
    .exactOptional()
    .describe('Ends the run once so many images were seen')
    .meta({ derivation: 'no limit' }),
  maxMinutes: z
    .number()
    .gt(0)
    .max(1e9)
    .exactOptional()
    .describe('Ends the run after so many minutes of training')
    .meta({ derivation: 'no limit' }),
  targets: z
    .array(z.string().regex(TARGET))
    .max(32)
    .default([])
    .describe('Ends the run once all of these hold, each a loss or metric and its bound')
    .meta({ expected: 'a list such as "lgi<0.02,swd<30", of losses and metrics with < or > and a number' }),
  plateau: measured
    .exactOptional()
    .describe('Ends the run when this loss or metric no longer gets better')
    .meta({ derivation: 'none' }),
  plateauPatience: whole(1, LONGEST)
    .default(5000)
    .describe('Steps without a better value that are a plateau'),
  plateauThreshold: real(0, 1)
    .default(0.01)
    .describe('Share of the best value by which another must be better to count'),
};

const metricKeys = {
  metricEvery: whole(0, LONGEST)
    .default(0)
    .describe('Steps between two evaluations of the metrics; 0 for none'),
  metrics: z
    .array(z.enum(METRIC_NAMES))
    .default([
      'swd',
      'diversity',
      'sharpness',
      'reconstruction',
      'latentMean',
      'latentVariance',
      'latentCovariance',
    ])
    .describe('What is measured; fd, kid, precision and recall need an extractor')
    .meta({ expected: `a list of ${METRIC_NAMES.join(', ')}` }),
  metricCount: whole(2, 1e7)
    .default(1000)
    .describe('Generated images, and real ones at most, that are measured'),
  extractor: z
    .string()
    .min(1)
    .exactOptional()
    .describe('TorchScript module that gives features of images, such as inception-2015-12-05.pt')
    .meta({ expected: 'the path of a TorchScript file', derivation: 'none' }),
  extractorSize: whole(1, 4096)
    .exactOptional()
    .describe('Width and height that the extractor wants')
    .meta({ derivation: 'as they are' }),
  extractorRange: z
    .enum(['0..255', '0..1', '-1..1'])
    .default('0..255')
    .describe('Range of pixel values that the extractor wants'),
  keepBest: measured
    .exactOptional()
    .describe('Keeps the checkpoint with the best value of this metric or loss as well')
    .meta({ derivation: 'none' }),
};

/** Keys under the headings of the help text. */
export const keyGroups = {
  Images: imageKeys,
  Augmentation: augmentationKeys,
  Networks: { ...widthKeys, ...modelKeys },
  Losses: lossKeys,
  Optimizer: optimizerKeys,
  Schedules: scheduleKeys,
  Run: runKeys,
  Stopping: stoppingKeys,
  Metrics: metricKeys,
};

export const configSchema = z.strictObject({
  ...imageKeys,
  ...augmentationKeys,
  ...widthKeys,
  ...modelKeys,
  ...lossKeys,
  ...optimizerKeys,
  ...scheduleKeys,
  ...runKeys,
  ...stoppingKeys,
  ...metricKeys,
});

/** Settings as a user gives them: every key may be left out. */
export type ConfigInput = z.input<typeof configSchema>;

/** What decides the pixels that a data source becomes; the same keys everywhere. */
export const imageFormatSchema = configSchema.pick({
  imageSize: true,
  imageChannels: true,
  background: true,
  crop: true,
  maxPixels: true,
});
export type ImageFormat = z.output<typeof imageFormatSchema>;

/** Settings with every default filled in and the architecture settled. */
export type Config = z.output<typeof configSchema> & Architecture & AugmentationOptions;

export type ConfigKey = keyof ConfigInput;

function pick<K extends ConfigKey>(config: Config, keys: Record<K, unknown>): Pick<Config, K> {
  const picked = Object.keys(keys).map((key) => [key, config[key as K]]);
  return Object.fromEntries(picked) as Pick<Config, K>;
}

export const modelOptions = (config: Config): ModelOptions => pick(config, modelKeys);
export const lossOptions = (config: Config): LossOptions => pick(config, lossKeys);
export const augmentationOptions = (config: Config): AugmentationOptions => {
  const { augment: _, ...keys } = augmentationKeys;
  return pick(config, keys);
};
export const optimizerOptions = (config: Config): OptimizerOptions => pick(config, optimizerKeys);
