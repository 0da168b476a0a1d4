import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../../lib/config/resolve.js';
import type { ConfigInput } from '../../../lib/config/schema.js';
import { scheduleOf } from '../../../lib/training/schedule.js';

const schedule = (values: ConfigInput, first = 1, count = 10, scale?: number) =>
  scheduleOf(
    resolveConfig([{ source: '', values: { steps: 10, batchSize: 8, ...values } }]),
    first,
    count,
    scale,
  );

const near = (array: Float64Array, expected: number[]) => {
  expect(array.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(array[i], `step ${i + 1}`).toBeCloseTo(value, 12);
};

describe('scheduleOf', () => {
  it('gives the constants unless told otherwise, exactly', () => {
    const { learningRate, lambda, emaDecay, repulsionWeight } = schedule({ emaDecay: 0.995, lambda: 0.3 });
    expect([...new Set(learningRate)]).toEqual([1e-3]);
    expect([...new Set(lambda)]).toEqual([0.3]);
    expect([...new Set(emaDecay)]).toEqual([0.995]);
    expect([...new Set(repulsionWeight)]).toEqual([1]);
  });

  it('warms up, then decays to the final rate at the last step', () => {
    const values = { learningRate: 1, learningRateWarmup: 4, learningRateFinal: 0.4 } as const;
    near(
      schedule({ ...values, learningRateSchedule: 'linear' }).learningRate,
      [0.25, 0.5, 0.75, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
    );
    const { learningRate } = schedule({ ...values, learningRateSchedule: 'cosine' });
    near(learningRate.slice(3), [
      1,
      ...[1, 2, 3, 4, 5, 6].map((k) => 0.4 + 0.3 * (1 + Math.cos((Math.PI * k) / 6))),
    ]);
    expect(learningRate[6]).toBeCloseTo(0.7, 12);
  });

  it('warms up over a whole run as well', () => {
    for (const learningRateSchedule of ['constant', 'linear', 'cosine'] as const)
      near(
        schedule({ steps: 4, learningRate: 1, learningRateWarmup: 4, learningRateSchedule }, 1, 4)
          .learningRate,
        [0.25, 0.5, 0.75, 1],
      );
  });

  it('moves lambda from the first step to the last', () => {
    const { lambda } = schedule({ steps: 5, lambda: 0.9, lambdaFinal: 0.5, lambdaSchedule: 'linear' }, 1, 5);
    near(lambda, [0.9, 0.8, 0.7, 0.6, 0.5]);
  });

  it('raises the weight of repulsion, never from 0', () => {
    near(
      schedule({ repulsionWeight: 0.4, repulsionWarmup: 4 }, 1, 6).repulsionWeight,
      [0.1, 0.2, 0.3, 0.4, 0.4, 0.4],
    );
  });

  it('takes the half-life of the moving average in images, with ramp-up', () => {
    near(schedule({ emaHalfLife: 8 }, 1, 2).emaDecay, [0.5, 0.5]);
    // 8 images a step: the half-life is half of the images seen, until that is 8.
    near(schedule({ emaHalfLife: 8, emaRampUp: 0.5 }, 1, 3).emaDecay, [0.25, 0.5, 0.5]);
    const later = schedule({ emaDecay: 0.9, emaRampUp: 0.5, steps: 10_000 }, 9000, 2).emaDecay;
    near(later, [0.9, 0.9]);
  });

  it('multiplies the learning rate by a scale', () => {
    near(schedule({ learningRate: 0.5 }, 3, 2, 0.25).learningRate, [0.125, 0.125]);
  });

  it('depends on the step alone, not on the call', () => {
    const values = {
      learningRateWarmup: 3,
      learningRateSchedule: 'cosine',
      lambdaSchedule: 'cosine',
      lambdaFinal: 1,
      emaRampUp: 0.05,
      repulsionWarmup: 7,
    } as const;
    const whole = schedule(values);
    for (const key of ['learningRate', 'lambda', 'emaDecay', 'repulsionWeight'] as const) {
      const parts = [...schedule(values, 1, 4)[key], ...schedule(values, 5, 6)[key]];
      expect(parts).toEqual([...whole[key]]);
    }
  });
});
