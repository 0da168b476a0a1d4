import { describe, expect, it } from 'vitest';
import { bestOf, ValueCourse } from '../../../lib/training/value-course.js';

describe('bestOf', () => {
  const best = (name: string, values: Record<number, number | undefined>) =>
    bestOf(Object.keys(values).map(Number), name, (step) => values[step]);

  it('takes the smallest, of precision and recall the largest', () => {
    expect(best('swd', { 1: 3, 2: 1, 3: 2 })).toEqual({ step: 2, value: 1 });
    expect(best('recall', { 1: 0.3, 2: 0.1, 3: 0.2 })).toEqual({ step: 1, value: 0.3 });
  });

  it('takes the diversity and sharpness nearest to that of real images', () => {
    expect(best('sharpness', { 1: 360, 2: 1.3, 3: 0.8 })).toEqual({ step: 3, value: 0.8 });
    expect(best('diversity', { 1: 0.5, 2: 1.1, 3: 1.4 })).toEqual({ step: 2, value: 1.1 });
  });

  it('takes the earliest of equals, and none of none', () => {
    expect(best('swd', { 5: 1, 2: 1, 3: undefined })).toEqual({ step: 2, value: 1 });
    expect(best('swd', { 1: undefined })).toBeUndefined();
  });
});

describe('a course', () => {
  it('gives the latest value up to a step', () => {
    const course = new ValueCourse('gp');
    for (const [step, gp] of [
      [2, 1],
      [4, undefined],
      [6, 5],
    ])
      course.record({ step: step as number, ...(gp !== undefined && { gp }) });
    expect([1, 2, 5, 6, 9].map((step) => course.at(step))).toEqual([undefined, 1, 1, 5, 5]);
  });
});
