import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nearest } from '../../../lib/reverser/nearest.js';

const rows = (width: number) =>
  fc.array(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: width, maxLength: width }), {
    minLength: 1,
    maxLength: 12,
  });

it('finds what sorting all distances finds', async () => {
  const width = 40;
  await fc.assert(
    fc.asyncProperty(
      rows(width),
      rows(width),
      fc.integer({ min: 1, max: 5 }),
      async (queries, all, count) => {
        const found = await nearest(Float32Array.from(queries.flat()), Float32Array.from(all.flat()), {
          width,
          count,
        });
        for (const [q, query] of queries.entries()) {
          const sorted = all
            .map((row, index) => ({
              index,
              distance: Math.sqrt(row.reduce((sum, v, i) => sum + (v - (query[i] ?? 0)) ** 2, 0) / width),
            }))
            .sort((a, b) => a.distance - b.distance || a.index - b.index)
            .slice(0, count);
          expect(found[q]).toEqual(sorted);
        }
      },
    ),
  );
});

it('leaves the query itself out', async () => {
  const all = Float32Array.of(0, 1, 5);
  const found = await nearest(all, all, { width: 1, count: 1, self: (query) => query });
  expect(found.flat().map(({ index }) => index)).toEqual([1, 0, 1]);
});

it('ends when it is told to, with the reason', async () => {
  const reason = new Error('enough');
  const many = new Float32Array(3e6);
  const work = nearest(many.subarray(0, 3e4), many, {
    width: 1,
    count: 1,
    signal: AbortSignal.abort(reason),
  });
  await expect(work).rejects.toBe(reason);
});
