import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evenFractions } from '../../../lib/reverser/pacing.js';

describe('evenFractions', () => {
  it('puts points where equal shares of the change lie between them', () => {
    expect(evenFractions([1, 1, 1, 1], 3)).toEqual([0, 0.5, 1]);
    expect(evenFractions([0, 0, 4, 0], 3)).toEqual([0, 0.625, 1]);
    expect(evenFractions([3, 1], 5)).toEqual([0, 1 / 6, 1 / 3, 0.5, 1]);
    expect(evenFractions([0, 0], 3)).toEqual([0, 0.5, 1]);
    expect(evenFractions([5], 2)).toEqual([0, 1]);
  });

  it('never goes back, and never leaves the way', () => {
    const changes = fc.array(fc.double({ min: 0, max: 4, noNaN: true }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(changes, fc.integer({ min: 2, max: 30 }), (list, count) => {
        const fractions = evenFractions(list, count);
        expect(fractions).toHaveLength(count);
        expect([fractions[0], fractions.at(-1)]).toEqual([0, 1]);
        for (let i = 1; i < count; i++)
          expect(fractions[i]).toBeGreaterThanOrEqual(fractions[i - 1] as number);
        for (const fraction of fractions) expect(fraction).toBeLessThanOrEqual(1 + 1e-12);
      }),
    );
  });
});
