/** Named sets of settings. Whatever a preset leaves out keeps the schema's default, which is the spec's. */
import type { ConfigInput } from './schema.js';

export const presets = {
  /** The spec's defaults on networks small enough for five minutes on two cores. */
  quickstart: {
    imageSize: 32,
    widths: [64, 64, 64, 64, 32, 16, 16],
    batchSize: 16,
    steps: 2200,
    emaDecay: 0.995,
  },
  /** The description read literally: all weights 1, random pairs, no repulsion, gradient penalty (spec section 2). */
  paper: {
    pairing: 'random',
    estimator: 'sliced',
    wGD: 1,
    wGI: 1,
    wRZ: 1,
    wRX: 1,
    wLZ: 0,
    repulsionWeight: 0,
    penaltyWeight: 10,
    penaltyEvery: 1,
  },
} satisfies Record<string, ConfigInput>;

export type PresetName = keyof typeof presets;
