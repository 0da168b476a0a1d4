import { describe, expect, it } from 'vitest';
import { ChunkSizer } from '../../../lib/training/chunk-sizer.js';

/** Chunks of a run whose every step takes so long. */
function chunks(secondsPerStep: number, count: number, limit = 1e6): number[] {
  const sizer = new ChunkSizer(0.25);
  return Array.from({ length: count }, () => {
    const steps = sizer.next(limit);
    sizer.record(steps, steps * secondsPerStep);
    return steps;
  });
}

describe('ChunkSizer', () => {
  it('doubles from one step up to the time it has', () => {
    expect(chunks(0.01, 7)).toEqual([1, 2, 4, 8, 16, 25, 25]);
  });

  it('takes single steps when one is slower than that', () => {
    expect(chunks(3, 4)).toEqual([1, 1, 1, 1]);
  });

  it('keeps to the limit and never gives less than one step', () => {
    expect(chunks(0.001, 6, 5)).toEqual([1, 2, 4, 5, 5, 5]);
    expect(chunks(0, 3)).toEqual([1, 2, 4]);
  });

  it('comes down when steps become slower', () => {
    const sizer = new ChunkSizer(0.25);
    sizer.record(100, 0.25);
    sizer.record(100, 25);
    expect(sizer.next(1e6)).toBe(1);
  });
});
