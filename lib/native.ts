/**
 * The one typed boundary to the C++ addon (native/src/binding). Every call takes one options object that the
 * addon checks field by field; every promise settles on the main thread while the work runs on the engine's own.
 * Rejections and exceptions arrive as NativeError with a stable code.
 */
import { constants } from 'node:buffer';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, NativeError, SetupError } from './errors.js';
import { defaultThreads } from './threads.js';

export type Dtype = 'float32' | 'float64';

/** Where a run on a GPU keeps its images. */
export const DATA_DEVICES = ['auto', 'device', 'host'] as const;
export type DataDevice = (typeof DATA_DEVICES)[number];

/** What convolutions and activations are computed in while training; everything else stays float32. */
export type Precision = 'fp32' | 'tf32' | 'bf16';

/** Where tensors are: lib/device.ts makes it of what users write. */
export type Device = 'cpu' | `cuda:${number}`;

/** A named tensor as raw bytes: C-contiguous, little-endian. */
export interface NativeTensor {
  name: string;
  dtype: Dtype;
  shape: number[];
  data: Uint8Array;
}

/** Batch of 8-bit images, shape [N, H, W, C], C-contiguous, C = 1 (grey) or 3 (sRGB). */
export interface ImageBatch {
  data: Uint8Array;
  shape: [number, number, number, number];
}

/** Features of images for the metrics, shape [N, D], C-contiguous. */
export interface FeatureBatch {
  data: Float32Array;
  shape: [number, number];
}

/** Batch of latents, shape [N, Zc, Sz, Sz], C-contiguous. */
export interface LatentBatch {
  data: Float32Array;
  shape: [number, number, number, number];
}

/** Architecture of both networks: spec section 1. */
export interface ModelOptions {
  /** Seven channel widths, from the latent head to the image head; of neighbours one divides the other. */
  widths: number[];
  /** Six strides of 1 or 2; image size = latentSize * their product. */
  strides: number[];
  latentChannels: number;
  latentSize: number;
  /** 1 or 3 in practice; any count of 1 or more is accepted. */
  imageChannels: number;
  adoThreshold: number;
  adoRatio: number;
  rpaRatio: number;
  attentionRatio: number;
}

/** R's term under repulsion: see the configuration's key of this name. */
export type RepulsionForm = 'hinge' | 'exponential';
/** Where and what the gradient penalty is: see the configuration's key of this name. */
export type PenaltyForm = 'wgan-gp' | 'r1';
export type Estimator = 'normal' | 'sliced' | 'sinkhorn' | 'dual';
export type Pairing = 'cycle' | 'assigned' | 'random';

/** The losses: spec section 2. */
export interface LossOptions {
  estimator: Estimator;
  /** Random unit directions drawn each step by `normal`, `sliced` and `dual`. */
  projections: number;
  pairing: Pairing;
  wGD: number;
  wGI: number;
  /** Weights of LGI at full resolution, at half of it, and so on; 1 to 10 numbers from 0 on, such as [0.1, 0, 1]. */
  lgiScales: number[];
  /** Weight of LRZ; without effect while repulsionWeight > 0. */
  wRZ: number;
  wRX: number;
  wLZ: number;
  /** 0 turns repulsion off. */
  repulsionWeight: number;
  repulsionMargin: number;
  repulsionForm: RepulsionForm;
  /** 0 turns the gradient penalty off. */
  penaltyWeight: number;
  /** The penalty is taken every so many steps, scaled by the same number. */
  penaltyEvery: number;
  penaltyForm: PenaltyForm;
  sinkhornEpsilon: number;
  sinkhornIterations: number;
  /**
   * Largest shift of the images that R sees in training, real and generated alike, in each direction as a share of the
   * width, 0 to 0.5; default 0.
   */
  reverserShift?: number;
  /** Share of the images that are shifted, 0 to 1; default 0.7. */
  reverserShiftProbability?: number;
  /** Share of LGD and of repulsion that is of reconstructions G(R(X)), 0 to 1; default 0; only with pairing cycle. */
  reconstructionShare?: number;
}

/** AdamW, kernel sharing and the moving average: spec section 3. */
export interface OptimizerOptions {
  learningRate: number;
  weightDecay: number;
  /** Holds the last two kernels of stride 2 to those that draw no checkerboards. Default false. */
  checkerboardFree?: boolean;
  /** Share of the generator's update in a shared kernel, 0 to 1. */
  lambda: number;
  /** Decay of the generator's moving average per step, 0 to 1 exclusive. */
  emaDecay: number;
}

/**
 * Random changes of training images, drawn anew in each epoch from (seed, epoch, image): docs/data.md has the formulas.
 * A strength at rest (0; 1 for cropScale) turns its augmentation off whatever its probability.
 */
export interface AugmentationOptions {
  /** Probability of a mirror image, left for right; 0 to 1, as all probabilities. */
  flipHorizontal: number;
  /** Probability of a mirror image, top for bottom. */
  flipVertical: number;
  /** Probability of a turn by 90, 180 or 270 degrees. */
  rotate90: number;
  /** Largest turn to either side in degrees, 0 to 180. */
  rotate: number;
  rotateProbability: number;
  /** Largest shift in each direction as a share of the width, 0 to 0.5. */
  translate: number;
  translateProbability: number;
  /** Smallest area of a crop as a share of the image, 0.01 to 1. */
  cropScale: number;
  cropProbability: number;
  /** The pixel values' factor is from 1 - x to 1 + x, x from 0 to 1. */
  brightness: number;
  brightnessProbability: number;
  /** Likewise, for their distance from mid-grey. */
  contrast: number;
  contrastProbability: number;
  /** Likewise, for their distance from the pixel's luma; no effect on grey. */
  saturation: number;
  saturationProbability: number;
  /** Largest turn of the colours about the grey axis to either side, 0 to 0.5 of a whole one; no effect on grey. */
  hue: number;
  hueProbability: number;
  /** Side of a grey square as a share of the width, 0 to 1. */
  cutout: number;
  cutoutProbability: number;
}

export interface TrainerOptions {
  model: ModelOptions;
  loss: LossOptions;
  optimizer: OptimizerOptions;
  /** Non-negative safe integer. Keys initial values, latents, directions and the order of the images. */
  seed: number;
  /** Images per step, of all ranks together. */
  batchSize: number;
  /**
   * Passes that a batch is taken in; default 1. More need less memory for activations and one more forward pass; losses
   * and gradients are those of the whole batch all the same. It divides batchSize.
   */
  accumulate?: number;
  /** Default float32. float64 is for tests. */
  dtype?: Dtype;
  /** Threads of the engine for this trainer's work; default lib/threads.ts. */
  threads?: number;
  /** Default the processor. Rejects with ERR_SAN_DEVICE where there is no such device. */
  device?: Device;
  /** Default fp32. With dtype float32 only. */
  precision?: Precision;
  /**
   * Default false. Modules keep their inputs alone for the backward pass and run again there: less memory, about a third more
   * time, the same numbers.
   */
  recompute?: boolean;
  /**
   * Training images in a .npy file: uint8 (N, S, S, C), or (N, S, S) for grey, in C order; mapped, not copied, so that
   * it must stay as it is. run() needs either this or `images`, of the model's size and channels. Rejects with
   * ERR_SAN_DATA_NOT_FOUND, ERR_SAN_DATA_FORMAT or ERR_SAN_SHAPE; run() with ERR_SAN_DATA_CHANGED once it has shrunk.
   */
  dataset?: { path: string };
  /** Training images in memory, copied. */
  images?: ImageBatch;
  /** Default none. */
  augmentation?: AugmentationOptions;
  /**
   * Where a run on a GPU keeps the images; default auto: there, if they take at most a quarter of its free memory.
   * Rejects with ERR_SAN_DEVICE for `device` on the processor, ERR_SAN_OUT_OF_MEMORY where they do not fit.
   */
  dataDevice?: DataDevice;
  /** Continue from this state: every tensor that state() names, or the parameters alone (spec section 5). */
  state?: TrainerState;
  /** Faults to be made on purpose; for tests. */
  faults?: TrainerFaults;
  /**
   * Ranks that take each step together, each its part of the batch, which their number must divide. All create their
   * trainer with the same options; the state is rank 0's. There run(), restore() and dispose() are called, on the others
   * follow(). Default none.
   */
  group?: NativeGroup;
}

/** How a process joins the others of its run. */
export interface GroupOptions {
  rank: number;
  worldSize: number;
  /** Where the ranks meet: the store that rank 0 serves, or a launcher's agent. */
  host: string;
  port: number;
  /** Whether this process serves the store; default on rank 0. */
  servesStore?: boolean;
  /** Keeps an attempt apart from an earlier one in the same store. */
  prefix: string;
  /** Something that must be the same on all ranks, in words. */
  agreement: string;
  /** Milliseconds to wait for the store and the other ranks; default a minute. */
  joinTimeout?: number;
  /** Milliseconds without a sign of life after which a rank is lost; default a minute. */
  timeout?: number;
}

/** What a rank has sent, and how long it waited for others. */
export interface Traffic {
  collectives: number;
  bytes: number;
  secondsWaited: number;
}

/**
 * Membership in a run on several ranks. All ranks make the same calls in the same order. They reject with
 * ERR_SAN_RANK_LOST, which names the rank that failed or died.
 */
export interface NativeGroup {
  /** Rank 0's bytes, on every rank. */
  broadcast(options: { data?: Uint8Array }): Promise<Uint8Array>;
  /** Every rank's bytes, in the order of ranks. */
  gather(options: { data: Uint8Array }): Promise<Uint8Array[]>;
  traffic(): Promise<Traffic>;
  /** Ends the membership when all ranks have called it; with a `failure`, which the others are told, at once. */
  leave(options: { failure?: string }): Promise<void>;
}

/**
 * Steps, counted from 1, in which something goes wrong on purpose; for tests. A step that is named n times goes wrong
 * the first n times it is taken.
 */
export interface TrainerFaults {
  /** The first gradient of the generator gets a NaN. */
  nanGradient?: number[];
  /** An allocation fails. */
  outOfMemory?: number[];
}

/** What may change from step to step, in place of the constants in OptimizerOptions and LossOptions. */
export interface StepSchedule {
  /** One value for each step of the call, in each array. Ranges are those of the constants. */
  learningRate: Float64Array;
  lambda: Float64Array;
  emaDecay: Float64Array;
  /** Above 0 where LossOptions.repulsionWeight is; without effect otherwise. */
  repulsionWeight: Float64Array;
}

/** Everything that changes while training: tensors under the spec's names, plus AdamW's moments. */
export interface TrainerState {
  /** Steps done so far, skipped ones included. */
  step: number;
  /** Steps skipped so far, for something in them was not finite. AdamW's bias correction leaves them out. */
  skipped: number;
  tensors: NativeTensor[];
}

export const LOSS_NAMES = ['lgd', 'lgi', 'lrz', 'lrx', 'llz', 'gp'] as const;
export type LossName = (typeof LOSS_NAMES)[number];
/** One number for each loss; gp is 0 in steps without the gradient penalty. */
export type Losses = Record<LossName, number>;

export interface StepReport {
  /** Steps done since the beginning of training, these included. */
  step: number;
  /** One entry for each step of this call, oldest first; fewer than asked for after interrupt(). */
  losses: Losses[];
  /** Steps of this call that changed nothing, for a loss or gradient was not finite. */
  skipped: SkippedStep[];
  /** Wall-clock time of these steps. */
  seconds: number;
  /** What LibTorch warned of since the last call, in any trainer; each text once a process. */
  warnings: string[];
  /** Whether any rank called interrupt() or requestCheckpoint(); false in a run on one rank. */
  stopRequested: boolean;
  checkpointRequested: boolean;
}

export interface SkippedStep {
  /** Counted from 1: the value of StepReport.step after it. */
  step: number;
  /** The first that was not finite: "loss lgd", or "gradient of kernel.latent in the generator". */
  what: string;
}

/** Inputs that replace everything random in one step; for parity tests. All [B, ...], in the trainer's dtype. */
export interface FixedInputs {
  z: NativeTensor;
  x: NativeTensor;
  /** (D, P) unit columns; the coordinate axes are not added to them. */
  directions: NativeTensor;
  /** Gradient penalty only; e for penaltyForm wgan-gp only. */
  e?: NativeTensor;
  u?: NativeTensor;
}

export interface FixedStepReport {
  losses: Losses;
  /** Gradients before the update, by parameter name. Kernels appear in both. */
  generatorGradients: NativeTensor[];
  reverserGradients: NativeTensor[];
}

export interface SampleOptions {
  /** Non-negative safe integer. */
  seed: number;
  /** Index of the first image; image i of a seed is the same in any batch. Default 0. */
  startIndex?: number | undefined;
  count: number;
}

/** Of the latents that images are drawn from. */
export interface Truncation {
  /**
   * Numbers of the latent beyond plus or minus this are drawn again (docs/random-numbers.md): the truncated normal
   * distribution. At least 0.01; no number is beyond 5.77. Default none.
   */
  truncation?: number | undefined;
}

/**
 * A training run in native memory. Methods queue on the engine thread and run in order. Among several ranks, each works out
 * its part of the rows of generate(), decode(), reverse() and extract(), which rank 0 calls and gets.
 */
export interface NativeTrainer {
  /** Takes `steps` training steps on the images given at creation; returns early after interrupt(). */
  run(options: { steps: number; schedule?: StepSchedule }): Promise<StepReport>;
  /** Makes the running or next queued run() return after the step under way. Synchronous, any time. */
  interrupt(): void;
  /** Has the next step's report on rank 0 say checkpointRequested. */
  requestCheckpoint(): void;
  /** On any rank but 0: takes part in what rank 0 does until it is disposed there. Gives the steps done. */
  follow(options: { extractor?: NativeExtractor }): Promise<number>;
  /** One step on given inputs, with gradients. */
  stepOn(inputs: FixedInputs): Promise<FixedStepReport>;
  /** Draws images with the moving average (`ema`, default true) or the raw weights. */
  generate(options: SampleOptions & { ema?: boolean }): Promise<ImageBatch>;
  /** Images from given latents [N, Zc, Sz, Sz], with the moving average. */
  decode(options: { latents: LatentBatch }): Promise<ImageBatch>;
  /** Latents of images [N, S, S, C]. */
  reverse(options: { images: ImageBatch }): Promise<LatentBatch>;
  /** The extractor's features of images [N, S, S, C]; the other ranks must follow with one of their own. */
  extract(options: { extractor: NativeExtractor; images: ImageBatch }): Promise<FeatureBatch>;
  /** A copy of the whole state. */
  state(): Promise<TrainerState>;
  /** Goes back, or on, to a state as at creation; to the seed's initial values when none is given. */
  restore(options: { state?: TrainerState }): Promise<void>;
  /** Frees native memory; later calls reject with ERR_SAN_DISPOSED. Idempotent. */
  dispose(): Promise<void>;
}

/** What the convolutions of inference multiply; sums and everything else stay float32. */
export type InferencePrecision = 'fp32' | 'bf16';

export interface NetworkOptions {
  model: ModelOptions;
  /** Tensors of a checkpoint (spec section 5); `ema.` ones are used for generating when present. */
  tensors: NativeTensor[];
  dtype?: Dtype;
  /** Of all but forward(); default fp32. On a CPU without bf16 instructions it rejects with ERR_SAN_OPTIONS. */
  precision?: InferencePrecision;
  threads?: number;
  /** As in TrainerOptions. */
  device?: Device;
}

/** A trained pair of networks for inference. */
export interface NativeNetwork {
  generate(options: SampleOptions & Truncation): Promise<ImageBatch>;
  /** Images from given latents [N, Zc, Sz, Sz]. */
  decode(options: { latents: LatentBatch }): Promise<ImageBatch>;
  /** Latents of images [N, S, S, C]. */
  reverse(options: { images: ImageBatch }): Promise<LatentBatch>;
  /** Raw network outputs in the network's dtype, no 8-bit rounding: for parity tests. Uses the raw kernels. */
  forward(options: {
    z: NativeTensor;
    x: NativeTensor;
  }): Promise<{ generate: NativeTensor; reverse: NativeTensor }>;
  dispose(): Promise<void>;
}

/** A TorchScript module that gives features of images. */
export interface ExtractorOptions {
  /** A file of torch.jit.save. */
  path: string;
  /** Width and height that images are resized to (bicubic, antialiased) before; default none. */
  size?: number;
  /**
   * What the 8-bit values 0 to 255 become. Default 0 to 255. A module whose forward has an argument `return_features`
   * gets it as true, as NVIDIA's inception-2015-12-05.pt wants. Grey images become three equal channels.
   */
  range?: [number, number];
  threads?: number;
}

export interface NativeExtractor {
  /**
   * Features of images [N, S, S, C], in batches of 64; further dimensions of the output are averaged over. Rejects
   * with ERR_SAN_EXTRACTOR when the module fails on them or gives something else than (N, D) or (N, D, H, W).
   */
  features(options: { images: ImageBatch }): Promise<FeatureBatch>;
  dispose(): Promise<void>;
}

/** Sliced Wasserstein distance at one level of the Laplacian pyramids. */
export interface LevelDistance {
  /** Width and height of the level in pixels. */
  size: number;
  distance: number;
}

export interface LatentStatistics {
  /** Root mean square, over the dimensions, of the mean; 0 for the prior. */
  mean: number;
  /** Root mean square, over the dimensions, of the variance minus 1; 0 for the prior. */
  variance: number;
  /** Root mean square of the covariances of two different dimensions; 0 for the prior, or where there is one dimension. */
  covariance: number;
}

export interface LoaderOptions {
  /** As in TrainerOptions; either this or `images`. Images must be square. */
  dataset?: { path: string } | undefined;
  images?: ImageBatch | undefined;
  batchSize: number;
  /** Keys order and augmentation, as a trainer's. */
  seed: number;
  augmentation?: AugmentationOptions | undefined;
  /** Threads that make batches ahead, 1 to 256; default 1, as in a trainer. Their number changes no bit. */
  workers?: number | undefined;
}

/** The batches that a trainer with the same images, seed, batch size and augmentation sees. */
export interface NativeLoader {
  /** Of the whole set: [N, S, S, C]. */
  readonly shape: [number, number, number, number];
  /**
   * The batch of a step, counted from 0: values in [-1, 1], [B, S, S, C]. Every image once an epoch, in a seeded order; an
   * epoch has floor(N / B) steps. Those that follow are made meanwhile.
   */
  batch(options: { step: number }): Promise<{ data: Float32Array; shape: [number, number, number, number] }>;
  /** Images by number as they are in an epoch, counted from 0. */
  images(options: { epoch: number; indices: number[] }): Promise<ImageBatch>;
  /** Frees native memory; later calls reject with ERR_SAN_DISPOSED. Idempotent. */
  dispose(): Promise<void>;
}

export interface ParameterInfo {
  name: string;
  shape: number[];
}

/** When each operation on the engine's thread began and ended; all arrays of one length, in the order of beginning. */
export interface NativeProfile {
  /** What `name` and `part` are indices of. */
  names: string[];
  name: Uint32Array;
  /** Innermost part of the networks or of a step that the event belongs to; 0 for none. */
  part: Uint32Array;
  /** 1 where the event is such a part itself. */
  isScope: Uint8Array;
  /** Microseconds since the profile began. An event lies within those that had not ended when it began. */
  begin: Float64Array;
  end: Float64Array;
  /** Events beyond the two millionth, which were not kept. */
  dropped: number;
  /**
   * Where a GPU was in use when the profile began: when each kernel and copy ran there, those of captured steps included,
   * in the order of beginning. Microseconds, as above; names are the compiler's.
   */
  onDevice?: { name: Uint32Array; stream: Uint32Array; begin: Float64Array; end: Float64Array };
}

/** Floating-point operations a second, a multiplication and an addition counted as two. */
export interface Peak {
  matmul: number;
  /** Of a 3x3 convolution, channels-last, of 64 channels on the processor and 256 on a GPU. */
  convolution: number;
  /** Of a copy within the device's memory: bytes a second, those read and those written. */
  copy: number;
}

/** Where and in what precision something is measured. */
export interface MeasuredOn {
  /** Default the processor. */
  device?: Device;
  /** Default fp32. */
  precision?: Precision;
  threads?: number;
}

/** One operation beside its memory traffic. */
export interface KernelTime {
  name: string;
  /** What it reads and writes, as its params.h in native/src/ops counts. */
  bytes: number;
  /** Median of a call. */
  seconds: number;
}

/** Of all convolutions of one kind in a step, each timed alone. */
export interface ConvolutionTime {
  calls: number;
  seconds: number;
  /** Floating-point operations, a multiplication and an addition counted as two. */
  operations: number;
}

/** Bytes that tensors hold on a device now, and the most they held at once. */
export interface DeviceMemory {
  used: number;
  peak: number;
  /** The most that the allocator had taken, with what freed tensors and captured steps keep; on the processor `peak`. */
  reservedPeak: number;
}

/** What is there for work on a GPU. */
export interface CudaInfo {
  /** Whether the addon has CUDA code. */
  built: boolean;
  /** CUDA versions, such as 13000: of the driver, 0 without one, and of the runtime that the addon is linked to. */
  driver: number;
  runtime: number;
  devices: {
    name: string;
    /** Compute capability, such as "9.0". */
    capability: string;
    /** Memory. */
    bytes: number;
  }[];
  /** Why no device can be used; missing when one can. */
  fault?: string;
}

export interface AddonInfo {
  /** LibTorch the addon was compiled against, such as "2.13.0". */
  libtorch: string;
  cuda: CudaInfo;
  /** Instruction set that ATen chose, such as "AVX2". */
  cpuCapability: string;
  threads: number;
}

/** Of a training step without the penalty. */
export interface ConvolutionTimes {
  forward: ConvolutionTime;
  backward: ConvolutionTime;
  /**
   * Of these the transposed ones of stride 1, forward and backward; and the same work as convolutions by kernels that lie
   * flipped and with their channels swapped.
   */
  transposed: ConvolutionTime;
  flipped: ConvolutionTime;
}

/** What the compiled addon exports. */
export interface Addon {
  info(): AddonInfo;
  /** What LibTorch warned of since the last call, or StepReport, in this process; each text once. */
  warnings(): string[];
  /** Names and shapes of the parameters of a model, in checkpoint order. Throws ERR_SAN_OPTIONS. */
  parameters(model: ModelOptions): ParameterInfo[];
  /** Latents of (seed, startIndex...): float32 [count, Zc, Sz, Sz]. */
  latents(
    options: SampleOptions & Truncation & { latentChannels: number; latentSize: number },
  ): Promise<LatentBatch>;
  /** Records from here on what the engine does, until stopProfile(). Does nothing while that is under way. */
  startProfile(): Promise<void>;
  /** What was recorded; nothing when no profile was under way. */
  stopProfile(): Promise<NativeProfile>;
  /** Measures how fast a device multiplies, adds and copies; takes less than a second. */
  measurePeak(options: MeasuredOn): Promise<Peak>;
  /**
   * Times every operation of the networks, forward and gradient, on images of about `bytes` bytes, and the update of all
   * parameters of `model`. `bytes` should be far beyond the device's cache. On the processor in float32 alone.
   */
  measureKernels(options: MeasuredOn & { model: ModelOptions; bytes: number }): Promise<KernelTime[]>;
  /** Takes a step without the penalty and times each different convolution of it on random numbers. */
  measureConvolutions(
    options: MeasuredOn & { model: ModelOptions; loss: LossOptions; batchSize: number },
  ): Promise<ConvolutionTimes>;
  /**
   * Writes all that the file system of `path` still holds in memory to its disk: syncfs(2). False where the system cannot,
   * or the disk fails; then each file's own sync tells which.
   */
  syncFileSystem(options: { path: string }): Promise<boolean>;
  /** Of all tensors of this process on a device; default the processor. */
  deviceMemory(options: { device?: Device }): Promise<DeviceMemory>;
  /**
   * Resolves when all ranks have joined. Rejects with ERR_SAN_RENDEZVOUS when the store or a rank is not there in time, or
   * when the ranks do not agree how many they are.
   */
  createGroup(options: GroupOptions): Promise<NativeGroup>;
  createTrainer(options: TrainerOptions): Promise<NativeTrainer>;
  createNetwork(options: NetworkOptions): Promise<NativeNetwork>;
  /** Rejects as createTrainer() does when the images do not fit. */
  createLoader(options: LoaderOptions): Promise<NativeLoader>;
  /** Rejects with ERR_SAN_EXTRACTOR when the file is not a TorchScript module. */
  createExtractor(options: ExtractorOptions): Promise<NativeExtractor>;
  /**
   * Multi-scale sliced Wasserstein distance (Karras et al. 2018, section 5), times 1000 as there: at each level of the
   * Laplacian pyramids, down to 16 pixels, between patches of 7x7 pixels, normalised per channel. Both batches of one
   * shape; images of at least 16 pixels. Finest level first.
   */
  slicedWasserstein(options: {
    real: ImageBatch;
    fake: ImageBatch;
    /** Keys patches and directions. */
    seed: number;
    /** Default 64. */
    patchesPerImage?: number;
    /** Default 512. */
    directions?: number;
  }): Promise<LevelDistance[]>;
  /** Frechet distance of the normal distributions with the features' means and covariances (Heusel et al. 2017). */
  frechetDistance(options: { real: FeatureBatch; fake: FeatureBatch }): Promise<number>;
  /**
   * Kernel inception distance (Binkowski et al. 2018): the unbiased squared MMD with the kernel (x.y / D + 1)^3, mean
   * over random subsets.
   */
  kernelDistance(options: {
    real: FeatureBatch;
    fake: FeatureBatch;
    seed: number;
    /** Default 100. */
    subsets?: number;
    /** Default 1000; at most the smaller count. The whole, in one subset, where that is no more. */
    subsetSize?: number;
  }): Promise<number>;
  /** Improved precision and recall (Kynkaanniemi et al. 2019), by distances to the k-th neighbour; default 3. */
  precisionRecall(options: {
    real: FeatureBatch;
    fake: FeatureBatch;
    neighbours?: number;
  }): Promise<{ precision: number; recall: number }>;
  /** How far latents [N, Zc, Sz, Sz], N >= 2, are from the prior N(0, 1); unbiased estimates. */
  latentStatistics(options: { latents: LatentBatch }): Promise<LatentStatistics>;
}

/** What the compiled file itself exports: one function, given the class of the errors to throw. */
interface AddonModule {
  /**
   * `threads`: of work that names no number; 0 leaves it to LibTorch. `largestBuffer`: bytes, of one ArrayBuffer; larger
   * results are ERR_SAN_OPTIONS.
   */
  initialise(
    errorClass: new (code: ErrorCode, message: string, details: { field?: string }) => Error,
    threads: number,
    largestBuffer: number,
  ): Addon;
}

/** Root of this package, from lib/ and from dist/lib/. */
export function packageRoot(): string {
  let folder = new URL('..', import.meta.url);
  while (!existsSync(new URL('package.json', folder)) && folder.pathname !== '/')
    folder = new URL('..', folder);
  return fileURLToPath(folder);
}

/** The build folder of the package at `root`; SAN_NATIVE_BUILD names another one. */
export function buildFolder(root = packageRoot()): string {
  return resolve(root, process.env.SAN_NATIVE_BUILD || 'build');
}

/** Where the build puts the addon of the package at `root`. */
export function addonPath(root = packageRoot()): string {
  return join(buildFolder(root), 'san_native.node');
}

let loaded: Addon | undefined;

/**
 * OpenMP's threads spin while they wait for one another. For as long as they do by default, a second busy process
 * slows training down thirtyfold; with none at all, each of a step's thousands of waits costs a system call. Read by
 * libgomp when it is loaded; a setting of the user's is left alone.
 */
function limitSpinning(): void {
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= '3000';
}

/**
 * Loads the addon once for each thread.
 * @throws SetupError ERR_SAN_ADDON when it was not built or does not load, with what to do.
 */
export function loadAddon(): Addon {
  if (loaded) return loaded;
  const path = addonPath();
  if (!existsSync(path)) {
    // In a bundle this module is no longer in its package.
    const remedy = existsSync(join(packageRoot(), 'native/src'))
      ? 'run: npx san-native setup'
      : 'san-native cannot be part of a bundle: declare it external';
    throw new SetupError('ERR_SAN_ADDON', `the native addon is not built (no ${path}); ${remedy}`, { path });
  }
  limitSpinning();
  // c10d tells every attempt to connect on stderr, with a stack; what matters of it is in the errors.
  process.env.TORCH_CPP_LOG_LEVEL ??= 'FATAL';
  try {
    const module = createRequire(import.meta.url)(path) as AddonModule;
    loaded = module.initialise(NativeError, defaultThreads(), constants.MAX_LENGTH);
    return loaded;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new SetupError(
      'ERR_SAN_ADDON',
      `the native addon does not load (${reason}); if LibTorch moved, run: npx san-native setup --force`,
      { path },
      { cause: error },
    );
  }
}
