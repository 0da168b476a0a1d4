import { expect, it } from 'vitest';
import { type Point, smoothed } from '../../../lib/training/smoothing.js';

it('averages to both sides over a sixtieth of the run each, every value counted once', () => {
  // 120 points: a neighbour counts half, the one after it a quarter.
  const points = Array.from({ length: 120 }, (_, i): Point => [10 * i, i === 60 ? 1 : 0]);
  const curve = smoothed(points);
  expect(curve.map(([step]) => step)).toEqual(points.map(([step]) => step));
  for (const [distance, value] of [1, 1 / 2, 1 / 4, 1 / 8].entries()) {
    expect(curve[60 + distance]?.[1]).toBeCloseTo(value / 3, 12);
    expect(curve[60 - distance]?.[1]).toBeCloseTo(value / 3, 12);
  }
});

it('of few points leaves them as they are', () => {
  const points: Point[] = [
    [1, 5],
    [2, -1],
    [3, 2],
  ];
  expect(smoothed(points)).toEqual(points);
  expect(smoothed([])).toEqual([]);
});
