/** Named sets of settings. Whatever a preset leaves out keeps the schema's default. */
import type { ConfigInput } from './schema.js';

/**
 * What the presets named by an image size share. Strides, widths and latent are left to the derivation, so that
 * another --image-size or --base-width over them still fits together.
 */
const sized = {
  /** In images, not steps: holds whatever the batch size. */
  emaHalfLife: 10_000,
  /** An average that is no older than the run lets the first sample grids show something. */
  emaRampUp: 0.05,
  logEvery: 50,
  sampleEvery: 1000,
  checkpointEvery: 2500,
} satisfies ConfigInput;

export const presets = {
  /**
   * Networks small enough for some minutes on two cores, and for few images, of which R would soon know too much: more of LGI
   * at full resolution than by default, or a grid stays in the pictures, and repulsion that ends sooner (docs/quality.md).
   */
  quickstart: {
    imageSize: 32,
    widths: [64, 64, 64, 64, 32, 16, 16],
    batchSize: 16,
    steps: 5000,
    lgiScales: [0.3, 0, 1],
    repulsionMargin: 0.5,
    emaDecay: 0.995,
  },
  /** Sizes for a GPU, or for days on a CPU; `train --dry-run` tells how long. The latent has 64 numbers in each. */
  '32': { ...sized, imageSize: 32, baseWidth: 32, maxWidth: 256, batchSize: 64, steps: 50_000 },
  '64': { ...sized, imageSize: 64, baseWidth: 32, maxWidth: 256, batchSize: 64, steps: 100_000 },
  '128': { ...sized, imageSize: 128, baseWidth: 32, maxWidth: 512, batchSize: 32, steps: 200_000 },
  '256': { ...sized, imageSize: 256, baseWidth: 16, maxWidth: 512, batchSize: 16, steps: 400_000 },
  /** The description read literally: all weights 1, random pairs, no repulsion, gradient penalty (spec section 2). */
  paper: {
    adoThreshold: 0.3,
    pairing: 'random',
    estimator: 'sliced',
    wGD: 1,
    wGI: 1,
    wRZ: 1,
    wRX: 1,
    wLZ: 0,
    lgiScales: [1],
    repulsionWeight: 0,
    penaltyWeight: 10,
    penaltyEvery: 1,
    penaltyForm: 'wgan-gp',
  },
} satisfies Record<string, ConfigInput>;

/** A preset by its name; those named by an image size go by the number as well. */
export type PresetName = keyof typeof presets | 32 | 64 | 128 | 256;

/** In the order of the documentation, which is not that of the object: JavaScript moves digits to the front. */
export const PRESET_NAMES = ['quickstart', '32', '64', '128', '256', 'paper'] as const satisfies PresetName[];
