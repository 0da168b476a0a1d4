/** An addon without arithmetic: enough of its behaviour to test what is built on it. */
import type {
  Addon,
  FeatureBatch,
  ImageBatch,
  LatentBatch,
  Losses,
  ModelOptions,
  NativeNetwork,
  NativeTensor,
  NativeTrainer,
  ParameterInfo,
  SampleOptions,
  SkippedStep,
  StepReport,
  TrainerOptions,
  TrainerState,
} from '../../../lib/native.js';
import { LOSS_NAMES } from '../../../lib/native.js';

export const someLosses = (value = 1): Losses => ({
  lgd: value,
  lgi: value / 2,
  lrz: value,
  lrx: value / 3,
  llz: value * 2,
  gp: 0,
});

/** What a checkpoint says besides counters, config and tensors. */
export const progress = {
  seconds: 1.5,
  dataHash: 'abc',
  recent: { steps: 2, skipped: 0, losses: someLosses(3.25) },
  skipped: 1,
  guard: { inRow: 0, learningRateScale: 0.5, failedAt: 7 },
};

/** Two parameters whose shapes depend on the model. */
export const fakeParameters = ({ latentChannels, widths }: ModelOptions): ParameterInfo[] => [
  { name: 'kernel.latent', shape: [latentChannels, widths[0] ?? 0, 1, 1] },
  { name: 'reverser.image.bias', shape: [widths[6] ?? 0] },
];

export function tensor(name: string, shape: number[], value = 0.5): NativeTensor {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value);
  return { name, dtype: 'float32', shape, data: new Uint8Array(values.buffer) };
}

export const fakeTensors = (model: ModelOptions): NativeTensor[] => [
  ...fakeParameters(model).map(({ name, shape }) => tensor(name, shape)),
  tensor('ema.kernel.latent', [model.latentChannels, model.widths[0] ?? 0, 1, 1]),
  tensor('exp_avg.generator.kernel.latent', [3]),
];

/** Grey levels that tell seed and index. */
export function fakeImages(model: ModelOptions, { seed, startIndex = 0, count }: SampleOptions): ImageBatch {
  const size = model.latentSize * model.strides.reduce((a, b) => a * b, 1);
  const numbers = size * size * model.imageChannels;
  const data = new Uint8Array(count * numbers);
  for (let i = 0; i < count; i++)
    data.fill((seed * 16 + startIndex + i) % 256, i * numbers, (i + 1) * numbers);
  return { data, shape: [count, size, size, model.imageChannels] };
}

export function fakeLatents({ latentChannels: channels, latentSize: size }: ModelOptions, count: number) {
  const batch: LatentBatch = {
    data: new Float32Array(count * channels * size * size),
    shape: [count, channels, size, size],
  };
  return batch;
}

export interface FakeTrainerSettings {
  /** Time that a step claims to have taken. */
  secondsPerStep?: number;
  lossesAt?(step: number): Losses;
  /** Called after each step, before the next. */
  onStep?(step: number): void;
}

export class FakeTrainer implements NativeTrainer {
  /** Steps asked for in each call of run(). */
  readonly chunks: number[] = [];
  disposals = 0;
  /** Value in every tensor of the state. */
  weights = 0.5;
  private readonly model: ModelOptions;
  private readonly settings: FakeTrainerSettings;
  private step: number;
  private interrupted = false;

  constructor(model: ModelOptions, settings: FakeTrainerSettings = {}, step = 0) {
    this.model = model;
    this.settings = settings;
    this.step = step;
  }

  async run({ steps }: { steps: number }): Promise<StepReport> {
    const { secondsPerStep = 0.01, lossesAt = () => someLosses(), onStep } = this.settings;
    this.chunks.push(steps);
    const losses: Losses[] = [];
    const skipped: SkippedStep[] = [];
    while (losses.length < steps && !this.interrupted) {
      this.step++;
      const taken = lossesAt(this.step);
      losses.push(taken);
      // As the real one does: a bad step is told and has no effect.
      const bad = LOSS_NAMES.find((name) => !Number.isFinite(taken[name]));
      if (bad) skipped.push({ step: this.step, what: `loss ${bad}` });
      await new Promise(setImmediate);
      onStep?.(this.step);
    }
    this.interrupted = false;
    return {
      step: this.step,
      losses,
      skipped,
      seconds: losses.length * secondsPerStep,
      warnings: [],
      stopRequested: false,
      checkpointRequested: false,
    };
  }

  /** Steps done. */
  get done(): number {
    return this.step;
  }

  interrupt(): void {
    this.interrupted = true;
  }

  async extract({ images: { shape } }: { images: ImageBatch }): Promise<FeatureBatch> {
    return { data: new Float32Array(shape[0]), shape: [shape[0], 1] };
  }

  async generate(options: SampleOptions): Promise<ImageBatch> {
    return fakeImages(this.model, options);
  }

  async state() {
    const tensors = fakeTensors(this.model).map(({ name, shape }) => tensor(name, shape, this.weights));
    return { step: this.step, skipped: 0, tensors };
  }

  async decode({ latents }: { latents: LatentBatch }): Promise<ImageBatch> {
    return fakeImages(this.model, { seed: 0, count: latents.shape[0] });
  }

  async reverse({ images }: { images: ImageBatch }): Promise<LatentBatch> {
    return fakeLatents(this.model, images.shape[0]);
  }

  async restore({ state }: { state?: TrainerState }): Promise<void> {
    this.step = state?.step ?? 0;
  }

  async dispose(): Promise<void> {
    this.disposals++;
  }

  requestCheckpoint(): void {}

  follow(): never {
    throw new Error('not faked');
  }

  stepOn(): never {
    throw new Error('not faked');
  }
}

/** An addon that makes fakes; `trainers` and `networks` count what it made. */
export function fakeAddon(settings: FakeTrainerSettings = {}) {
  const trainers: FakeTrainer[] = [];
  const trainerOptions: TrainerOptions[] = [];
  const disposed: NativeNetwork[] = [];
  const addon: Addon = {
    info: () => ({
      libtorch: '2.13.0',
      cuda: { built: false, driver: 0, runtime: 0, devices: [], fault: 'a fake' },
      cpuCapability: 'NONE',
      threads: 1,
    }),
    warnings: () => [],
    parameters: fakeParameters,
    latents: async ({ latentChannels, latentSize, count }) => {
      const size = latentChannels * latentSize ** 2;
      const data = Float32Array.from({ length: count * size }, (_, i) => Math.sin(i + 1));
      return { data, shape: [count, latentChannels, latentSize, latentSize] };
    },
    createTrainer: async (options) => {
      const trainer = new FakeTrainer(options.model, settings, options.state?.step);
      trainers.push(trainer);
      trainerOptions.push(options);
      return trainer;
    },
    createNetwork: async ({ model }) => {
      const network: NativeNetwork = {
        generate: async (options) => fakeImages(model, options),
        decode: async ({ latents }) => fakeImages(model, { seed: 0, count: latents.shape[0] }),
        reverse: async ({ images }) => fakeLatents(model, images.shape[0]),
        forward: () => {
          throw new Error('not faked');
        },
        dispose: async () => {
          disposed.push(network);
        },
      };
      return network;
    },
    createGroup: () => {
      throw new Error('not faked');
    },
    createLoader: () => {
      throw new Error('not faked');
    },
    syncFileSystem: async () => false,
    createExtractor: async () => ({
      features: async ({ images }) => ({
        data: new Float32Array(images.shape[0]),
        shape: [images.shape[0], 1],
      }),
      dispose: async () => {},
    }),
    slicedWasserstein: async ({ real }) => [{ size: real.shape[1], distance: 2 }],
    frechetDistance: async () => 3,
    kernelDistance: async () => 4,
    precisionRecall: async () => ({ precision: 0.5, recall: 0.25 }),
    startProfile: async () => {},
    stopProfile: async () => ({
      names: ['', 'aten::convolution'],
      name: Uint32Array.of(1),
      part: Uint32Array.of(0),
      isScope: Uint8Array.of(0),
      begin: Float64Array.of(0),
      end: Float64Array.of(1000),
      dropped: 0,
    }),
    measurePeak: async () => ({ matmul: 2e9, convolution: 1e9, copy: 4e9 }),
    measureKernels: async () => [{ name: 'emit', bytes: 5e6, seconds: 1e-3 }],
    measureConvolutions: async () => ({
      forward: { calls: 1, seconds: 1e-3, operations: 1e6 },
      backward: { calls: 1, seconds: 2e-3, operations: 2e6 },
      transposed: { calls: 0, seconds: 0, operations: 0 },
      flipped: { calls: 0, seconds: 0, operations: 0 },
    }),
    deviceMemory: async () => ({ used: 1e6, peak: 2e6, reservedPeak: 3e6 }),
    latentStatistics: async () => ({ mean: 0.1, variance: 0.2, covariance: 0.3 }),
  };
  return { addon, trainers, trainerOptions, disposed };
}
