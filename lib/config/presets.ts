/** Named sets of settings. Whatever a preset leaves out keeps the schema's default, which is the spec's. */
import type { ConfigInput } from './schema.js';

export const presets = {
  /** Small colour images in minutes on two cores. */
  quickstart: { imageSize: 32, batchSize: 32, steps: 2000 },
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
