/** A batch taken in several passes gives what it gives in one. */
import { expect, test } from 'vitest';
import type { Estimator, LossOptions, Pairing, TrainerOptions } from '../../lib/native.js';
import { LOSS_NAMES, loadAddon } from '../../lib/native.js';
import { relativeDifference } from './differences.js';
import { someImages, trainerOptions } from './support.js';

const addon = loadAddon();
const loss = trainerOptions().loss;
const ESTIMATORS: Estimator[] = ['normal', 'sliced', 'sinkhorn', 'dual'];
const PAIRINGS: Pairing[] = ['cycle', 'assigned', 'random'];

const variants: [string, Partial<LossOptions>][] = [
  ...ESTIMATORS.flatMap((estimator) =>
    PAIRINGS.map((pairing): [string, Partial<LossOptions>] => [
      `${estimator}, ${pairing}`,
      { estimator, pairing },
    ]),
  ),
  ['penalty', { penaltyWeight: 1, penaltyEvery: 2 }],
  ['R1', { penaltyWeight: 1, penaltyForm: 'r1' }],
  ['judged reconstructions', { reconstructionShare: 0.5, repulsionWeight: 1, wLZ: 0.1, reverserShift: 0.25 }],
  ['judged reconstructions, sliced', { reconstructionShare: 0.5, estimator: 'sliced' }],
  ['judged reconstructions, sinkhorn', { reconstructionShare: 1, estimator: 'sinkhorn' }],
  ['weights of its own for R, with LLZ', { repulsionWeight: 0, wRZ: 0.7, wLZ: 0.4 }],
  ['repulsion that has ended', { repulsionMargin: 0 }],
  ['repulsion that fades out', { repulsionForm: 'exponential', repulsionWeight: 1 }],
  ['LGI at several scales', { lgiScales: [0.1, 0, 1] }],
  ['shifts of what R sees', { reverserShift: 0.25, repulsionWeight: 1, wLZ: 0.1, penaltyWeight: 1 }],
];

async function trained(changes: Partial<TrainerOptions>, steps = 3) {
  const options = { dtype: 'float64', batchSize: 8, images: someImages(18), threads: 1, ...changes } as const;
  const trainer = await addon.createTrainer(trainerOptions(options));
  const report = await trainer.run({ steps });
  const state = await trainer.state();
  await trainer.dispose();
  return { report, state };
}

test.each(variants)('four passes: %s', async (_, changes) => {
  const options = { loss: { ...loss, ...changes } };
  const [one, several] = [await trained(options), await trained({ ...options, accumulate: 4 })];
  expect(relativeDifference(one.state.tensors, several.state.tensors)).toBeLessThan(1e-10);
  for (const [i, losses] of one.report.losses.entries()) {
    for (const name of LOSS_NAMES)
      expect(several.report.losses[i]?.[name], `${name} of step ${i + 1}`).toBeCloseTo(losses[name], 10);
  }
});

test('a step whose gradient is not finite is skipped', async () => {
  const { report } = await trained({ accumulate: 2, faults: { nanGradient: [2] } });
  expect(report.skipped).toEqual([{ step: 2, what: expect.stringContaining('gradient of kernel.latent') }]);
});

test('passes that cannot be equal are refused', async () => {
  await expect(trained({ accumulate: 3 })).rejects.toMatchObject({
    code: 'ERR_SAN_OPTIONS',
    message: expect.stringContaining('batchSize is 8'),
  });
});
