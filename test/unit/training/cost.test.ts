import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { modelOptions } from '../../../lib/config/schema.js';
import {
  meanFlops,
  memoryEstimate,
  optimizerTraffic,
  parametersByPart,
  passMacs,
  recomputedNumbers,
  savedNumbers,
  stateBytes,
  stepFlops,
  sumOfParts,
} from '../../../lib/training/cost.js';
import { fakeParameters } from '../support/fake-addon.js';

/** Eight channels everywhere, so that the hidden layers have 4, 4 and 4; 4 pixels, doubled by the last module. */
const small = (changes: Record<string, unknown> = {}) =>
  resolveConfig([
    {
      source: '',
      values: {
        imageSize: 4,
        widths: [8, 8, 8, 8, 8, 8, 8],
        strides: [1, 1, 1, 1, 1, 2],
        latentChannels: 4,
        batchSize: 2,
        penaltyWeight: 0,
        penaltyEvery: 1,
        wLZ: 0,
        ...changes,
      },
    },
  ]);

// By hand. Latents are 2×2. A module without stride, at 2×2:
//   ADO 2·9·8·4·4 = 2304; blocks 3·9·8·8·4 = 6912; RPA at 1×1 and 1×1: 2·9·8·4 = 576; attention 3·2·8·4 = 192.
// The last, 2×2 to 4×4: ADO 2304; blocks 9·64·4 + 2·9·64·16 = 20736; RPA at 2×2 and 1×1: 9·8·4·5 = 1440; 192.
// Heads: 4·8·4 = 128 and 9·8·3·16 = 3456.
const MACS = 5 * (2304 + 6912 + 576 + 192) + (2304 + 20736 + 1440 + 192) + 128 + 3456;

// Module without stride: ADO (4·8 + 3·4)·4 = 176; blocks 8·4 + 8·8·4 = 288; RPA 2·4·1 + 2·8·1 + 2·8·4 = 88.
// The last: 176; 8·4 + 8·8·16 = 1056; 2·4·4 + 2·8·1 + 2·8·16 = 304. Heads: 8·4 = 32 and 2·3·16 = 96.
const SAVED = 5 * (176 + 288 + 88) + (176 + 1056 + 304) + 32 + 96;

describe('one pass through a network', () => {
  it('has the multiply-adds counted by hand', () => {
    expect(passMacs(small())).toBe(MACS);
  });

  it('leaves the numbers counted by hand', () => {
    expect(savedNumbers(small())).toBe(SAVED);
    // With recompute half of what goes into each module and comes out: 5·(32 + 32)/2, (32 + 128)/2, and the image twice.
    expect(recomputedNumbers(small())).toBe(160 + 80 + 96);
  });
});

describe('a step', () => {
  const pass = 2 * 2 * MACS;

  it.each<[string, Record<string, unknown>, number, number, number]>([
    ['the cycle runs G on two batches', {}, 4, 8, 0],
    ['other pairings on one', { pairing: 'random' }, 3, 6, 0],
    ['LLZ spoils the ratio of the two losses', { wLZ: 1 }, 4, 9, 0],
    ['unless their weights are equal', { wLZ: 1, repulsionWeight: 0, wRZ: 0.3 }, 4, 8, 0],
    ['without LGD R has a backward pass of its own', { wGD: 0 }, 4, 9, 0],
    ['modules that run again', { recompute: true }, 4, 12, 0],
    ['and twice where R has a backward pass of its own', { recompute: true, wGD: 0 }, 4, 14, 0],
    ['two passes go forward once more', { accumulate: 2 }, 8, 8, 0],
    ['judged reconstructions', { reconstructionShare: 0.5 }, 5, 10, 0],
    ['and LLZ', { reconstructionShare: 0.5, wLZ: 1 }, 5, 12, 0],
    ['the gradient penalty', { penaltyWeight: 10, penaltyEvery: 4 }, 4, 8, 6],
  ])('%s', (_, changes, forward, backward, penalty) => {
    const config = small(changes);
    const flops = { forward: forward * pass, backward: backward * pass, penalty: penalty * pass };
    expect(stepFlops(config)).toEqual(flops);
    expect(meanFlops(flops, config)).toBe((forward + backward + penalty / config.penaltyEvery) * pass);
  });

  it('takes more memory with more images in the batch or the data, and for the penalty', () => {
    const total = { part: 'total', shared: 1000, generator: 100, reverser: 10, total: 1110 };
    const { device, host } = memoryEstimate(small(), total, 10);
    expect(memoryEstimate(small({ batchSize: 4 }), total, 10).device).toBeGreaterThan(device);
    expect(memoryEstimate(small({ penaltyWeight: 1 }), total, 10).device).toBeGreaterThan(device);
    const recomputed = memoryEstimate(small({ recompute: true }), total, 10).device;
    expect(recomputed).toBeLessThan(device);
    expect(memoryEstimate(small({ precision: 'bf16' }), total, 10).device).toBe(device);
    expect(memoryEstimate(small({ precision: 'bf16' }), total, 10, 'cuda:0').device).toBeLessThan(device);
    expect(memoryEstimate(small(), total, 30).host - host).toBe(2 * 20 * 4 * 4 * 3);
  });
});

describe('parameters', () => {
  it('are told by part and owner, in the order of the networks', () => {
    const infos = [
      { name: 'kernel.image', shape: [2, 3, 3, 3] },
      { name: 'kernel.m0.b1', shape: [4, 2, 3, 3] },
      { name: 'kernel.latent', shape: [5, 4, 1, 1] },
      { name: 'generator.m0.b1.bias', shape: [2] },
      { name: 'reverser.m0.ado.gate.bias', shape: [4] },
      { name: 'reverser.latent.bias', shape: [5] },
    ];
    const parts = parametersByPart(infos);
    expect(parts).toEqual([
      { part: 'latent head', shared: 20, generator: 0, reverser: 5, total: 25 },
      { part: 'module 0', shared: 72, generator: 2, reverser: 4, total: 78 },
      { part: 'image head', shared: 54, generator: 0, reverser: 0, total: 54 },
    ]);
    expect(sumOfParts(parts)).toEqual({
      part: 'total',
      shared: 146,
      generator: 2,
      reverser: 9,
      total: 157,
    });
  });

  it('take bytes and traffic', () => {
    const [latent] = parametersByPart(fakeParameters(modelOptions(small())));
    expect(latent).toMatchObject({ shared: 32 });
    const total = { part: 'total', shared: 100, generator: 10, reverser: 1, total: 111 };
    expect(stateBytes(total)).toEqual({ weights: 444, gradients: 844, moments: 1688, average: 440 });
    expect(optimizerTraffic(total)).toBe(100 * 56 + 10 * 36 + 1 * 28);
  });
});
