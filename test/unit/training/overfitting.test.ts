import { describe, expect, it } from 'vitest';
import type { LossPoint } from '../../../lib/training/loss-history.js';
import { overfitting, riseOf } from '../../../lib/training/overfitting.js';

const CONFIG = { repulsionWeight: 1, repulsionWarmup: 0 };

/** A point every ten steps. */
const course = (points: number, lgd: (part: number) => number): LossPoint[] =>
  Array.from({ length: points }, (_, i) => ({
    step: 10 * (i + 1),
    losses: { lgd: lgd(i / points), lgi: 0, lrz: 0, lrx: 0, llz: 0 },
  }));

/** Falls to 0.3 within a tenth, and rises to `last` from the middle on. */
const risingTo = (last: number) => (part: number) => {
  if (part < 0.1) return 1.3 - 10 * part;
  return part < 0.5 ? 0.3 : 0.3 + ((last - 0.3) * (part - 0.5)) / 0.45;
};

describe('overfitting', () => {
  it('is told with the numbers of LGD, where it has risen', () => {
    const history = course(1000, risingTo(0.6));
    expect(riseOf(history, CONFIG)).toEqual({
      now: expect.closeTo(0.6, 1),
      lowest: expect.closeTo(0.3),
      step: 2000,
    });
    const [found, ...more] = overfitting(history, CONFIG, 10_000);
    expect(more).toEqual([]);
    expect(found?.kind).toBe('overfitting');
    expect(found?.message).toMatch(
      /^step 10000: .*by heart.* LGD is 0\.60, 2\.0 times what it was around step 2000,/,
    );
  });

  it('is not told while LGD falls, comes to rest, or has risen a little', () => {
    for (const lgd of [(part: number) => 1 - part, () => 0.3, risingTo(0.42)])
      expect(overfitting(course(1000, lgd), CONFIG, 10_000)).toEqual([]);
  });

  it('is not told of so few steps that chance decides', () => {
    expect(overfitting(course(99, risingTo(0.9)), CONFIG, 990)).toEqual([]);
    expect(overfitting(course(100, risingTo(0.9)), CONFIG, 1000)).toHaveLength(1);
  });

  it('does not take the warm-up of repulsion for it, nor anything without repulsion', () => {
    const history = course(1000, (part) => (part < 0.3 ? 0.05 : 0.3));
    expect(overfitting(history, CONFIG, 10_000)).toHaveLength(1);
    expect(overfitting(history, { ...CONFIG, repulsionWarmup: 3000 }, 10_000)).toEqual([]);
    expect(overfitting(history, { ...CONFIG, repulsionWeight: 0 }, 10_000)).toEqual([]);
  });
});
