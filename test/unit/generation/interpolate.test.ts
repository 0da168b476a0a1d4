import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interpolate, slerp } from '../../../lib/generation/interpolate.js';

const vector = (length: number) =>
  fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: length, maxLength: length });
const norm = (values: Float32Array) => Math.hypot(...values);

describe('slerp', () => {
  it('goes along the circle', () => {
    const middle = slerp(Float32Array.of(2, 0), Float32Array.of(0, 2), 0.5);
    expect([...middle]).toEqual([expect.closeTo(Math.SQRT2, 5), expect.closeTo(Math.SQRT2, 5)]);
    const third = slerp(Float32Array.of(1, 0), Float32Array.of(0, 1), 1 / 3);
    expect(Math.atan2(third[1] as number, third[0] as number)).toBeCloseTo(Math.PI / 6, 5);
  });

  it('keeps the length, has the ends as they are, and turns around', () => {
    fc.assert(
      fc.property(vector(6), vector(6), fc.double({ min: 0, max: 1, noNaN: true }), (a, b, fraction) => {
        const [from, to] = [Float32Array.from(a), Float32Array.from(b)];
        fc.pre(norm(from) > 0.1 && norm(to) > 0.1);
        to.forEach((value, i) => {
          to[i] = (value * norm(from)) / Math.hypot(...b);
        });
        const cosine = from.reduce((sum, value, i) => sum + value * (to[i] as number), 0) / norm(from) ** 2;
        fc.pre(cosine > -0.99);
        const between = slerp(from, to, fraction);
        expect(norm(between) / norm(from)).toBeCloseTo(1, 3);
        const back = slerp(to, from, 1 - fraction);
        for (const [i, value] of between.entries()) expect(back[i]).toBeCloseTo(value, 2);
        expect(slerp(from, to, 0)).toEqual(from);
        expect(slerp(from, to, 1)).toEqual(to);
      }),
    );
  });

  it.each([
    ['parallel', [1, 2], [2, 4], [1.5, 3]],
    ['opposite', [1, 2], [-1, -2], [0, 0]],
    ['from zero', [0, 0], [2, 0], [1, 0]],
    ['equal', [3, 4], [3, 4], [3, 4]],
  ])('takes the straight line between vectors that are %s', (_, from, to, middle) => {
    const found = slerp(Float32Array.from(from), Float32Array.from(to), 0.5);
    for (const [i, value] of middle.entries()) expect(found[i]).toBeCloseTo(value, 5);
  });
});

describe('interpolate', () => {
  it('makes a row of each pair, ends included', () => {
    const from = {
      data: Float32Array.of(1, 0, 0, 5),
      shape: [2, 2, 1, 1] as [number, number, number, number],
    };
    const to = { data: Float32Array.of(0, 1, 0, 5), shape: from.shape };
    const { data, shape } = interpolate(from, to, 3);
    expect(shape).toEqual([6, 2, 1, 1]);
    const half = Math.SQRT1_2;
    const expected = [1, 0, half, half, 0, 1, 0, 5, 0, 5, 0, 5];
    expect([...data]).toEqual(expected.map((value) => expect.closeTo(value, 5)));
  });
});
