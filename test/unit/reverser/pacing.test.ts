import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evenlyApart } from '../../../lib/reverser/pacing.js';

type Point = readonly number[];

const between =
  (points: readonly Point[]) =>
  (a: number, b: number): number =>
    Math.hypot(...(points[a] as Point).map((value, i) => value - ((points[b] as Point)[i] as number)));

const pick = (points: readonly Point[], count: number) => evenlyApart(points.length, count, between(points));

/** Points of a way, evenly spread over its parameter. */
const along = (count: number, at: (t: number) => Point) =>
  Array.from({ length: count }, (_, i) => at(i / (count - 1)));

const stepsOf = (points: readonly Point[], taken: readonly number[]) =>
  taken.slice(1).map((at, i) => between(points)(taken[i] as number, at));
const largestOverMean = (steps: readonly number[]) =>
  Math.max(...steps) / (steps.reduce((a, b) => a + b, 0) / steps.length);

describe('evenlyApart', () => {
  it('is exact where it can be', async () => {
    expect(await pick([[0], [1], [2], [3], [4]], 3)).toEqual([0, 2, 4]);
    expect(await pick([[0], [3], [4], [5], [6]], 3)).toEqual([0, 1, 4]);
    expect(await pick([[7], [1]], 2)).toEqual([0, 1]);
    expect(await pick([[0], [1], [1], [1], [2]], 5)).toEqual([0, 1, 2, 3, 4]);
  });

  it('spreads points evenly where nothing changes', async () => {
    expect(await pick(Array(9).fill([5]), 5)).toEqual([0, 2, 4, 6, 8]);
  });

  it('keeps the pace where the way is slow, then fast', async () => {
    const way = along(2001, (t) => [t ** 4, 0]);
    expect(largestOverMean(stepsOf(way, await pick(way, 24)))).toBeLessThan(1.05);
  });

  it('is not slowed down by wiggles that get nowhere', async () => {
    // The second half trembles: its sum of changes is eight times that of the first, at the same progress.
    const way = along(2001, (t) => [t, t < 0.5 ? 0 : 0.004 * Math.sin(2000 * t)]);
    const taken = await pick(way, 24);
    expect(largestOverMean(stepsOf(way, taken))).toBeLessThan(1.1);
    const early = taken.filter((at) => at < 1000).length;
    expect(early).toBeGreaterThan(9);
    expect(early).toBeLessThan(15);
  });

  it('takes a jump as one step, and spends no others on it', async () => {
    const way = along(2001, (t) => [t, t < 0.3 ? 0 : 1]);
    const steps = stepsOf(way, await pick(way, 24)).sort((a, b) => b - a);
    expect(steps[0]).toBeGreaterThanOrEqual(1);
    expect(steps[0]).toBeLessThan(1.01);
    expect(largestOverMean(steps.slice(1))).toBeLessThan(1.1);
  });

  it('spreads those that are left evenly over parts where nothing changes', async () => {
    const way: Point[] = Array.from({ length: 18 }, (_, i) => [i < 9 ? 0 : 1]);
    expect(await pick(way, 6)).toEqual([0, 4, 8, 9, 13, 17]);
  });

  it('asks for few differences where nearly nothing changes, and lets others have their turn', async () => {
    const points = 20_000;
    let asked = 0;
    const standing = (a: number, b: number) => {
      asked++;
      return Number(a < points / 2 !== b < points / 2);
    };
    let turns = 0;
    const timer = setInterval(() => turns++);
    const taken = await evenlyApart(points, points / 2, standing);
    clearInterval(timer);
    expect(new Set(taken).size).toBe(points / 2);
    expect(asked).toBeLessThan(100 * points);
    expect(turns).toBeGreaterThan(0);
  });

  it('goes forward by as many points as wanted, in steps that have a limit', async () => {
    const coordinate = fc.double({ min: -4, max: 4, noNaN: true });
    const ways = fc.array(fc.tuple(coordinate, coordinate), { minLength: 2, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(ways, fc.nat(), async (way, any) => {
        const count = 2 + (any % (way.length - 1));
        const taken = await pick(way, count);
        expect(taken).toHaveLength(count);
        expect([taken[0], taken.at(-1)]).toEqual([0, way.length - 1]);
        for (let i = 1; i < count; i++) expect(taken[i]).toBeGreaterThan(taken[i - 1] as number);
        const changes = stepsOf(way, [...way.keys()]);
        const limit = changes.reduce((a, b) => a + b, 0) / (count - 1) + Math.max(...changes);
        expect(Math.max(...stepsOf(way, taken))).toBeLessThanOrEqual(limit + 1e-9);
        expect(await pick(way, count)).toEqual(taken);
      }),
    );
  });

  it('ends with the reason of an abort', async () => {
    const reason = new Error('enough');
    const slow = (a: number, b: number) => {
      const end = performance.now() + 1;
      while (performance.now() < end);
      return b - a;
    };
    await expect(evenlyApart(200, 5, slow, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
