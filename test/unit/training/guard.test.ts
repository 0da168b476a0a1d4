import { describe, expect, it } from 'vitest';
import { noFailure } from '../../../lib/checkpoint/metadata.js';
import { Guard } from '../../../lib/training/guard.js';

const skipped = (...steps: number[]) => steps.map((step) => ({ step, what: `loss of step ${step}` }));

describe('Guard', () => {
  it('takes three skipped steps in a row for a failure, over several calls, and names the first', () => {
    const guard = new Guard();
    expect(guard.record(4, 4, skipped(1, 2, 4))).toBeUndefined();
    expect(guard.record(5, 1, skipped(5))).toBeUndefined();
    expect(guard.state.inRow).toBe(2);
    expect(guard.record(9, 4, skipped(6, 9))).toEqual({ step: 6, what: 'loss of step 4' });
  });

  it('goes on from the skipped steps of the state that it goes back to', () => {
    const failure = { step: 12, what: 'loss' };
    const saved = { ...noFailure(), inRow: 2 };
    const next = new Guard().rollBack(failure, saved);
    expect(next.state).toEqual({ inRow: 2, learningRateScale: 0.5, failedAt: 12 });
    expect(next.record(9, 1, skipped(9))).toEqual({ step: 9, what: 'loss of step 9' });
    // A half of what is the rate now, not of what was saved.
    expect(new Guard({ ...noFailure(), learningRateScale: 0.25 }).rollBack(failure).state).toEqual({
      inRow: 0,
      learningRateScale: 0.125,
      failedAt: 12,
    });
  });

  it('is past a failure with a checkpoint behind it that is not in the midst of another', () => {
    const failed = { ...noFailure(), failedAt: 12 };
    const failedAtBehind = (step: number, inRow = 0) => {
      const guard = new Guard({ ...failed, inRow });
      guard.passed(step);
      return guard.state.failedAt;
    };
    expect([11, 12, 13].map((step) => failedAtBehind(step))).toEqual([12, 12, 0]);
    expect(failedAtBehind(13, 1)).toBe(12);
    expect(() => new Guard(failed).rollBack({ step: 14, what: 'gradient' })).toThrow(
      expect.objectContaining({ code: 'ERR_SAN_NON_FINITE', details: { field: 'gradient' } }),
    );
  });
});
