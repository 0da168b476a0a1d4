import { expect, test } from 'vitest';
import { median, ratiosOf, spreadOf } from '../../../bench/statistics.js';
import { layOut } from '../../../bench/table.js';

test('the median of an even count lies between the two in the middle', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([5, 1, 3])).toBe(3);
  expect(median([])).toBeNaN();
});

test('spreads keep the ends', () => {
  expect(spreadOf([2, 8, 4])).toEqual({ median: 4, min: 2, max: 8 });
});

test('ratios are taken round by round, so that a machine that slows down does not show', () => {
  expect(ratiosOf([20, 10, 2], [10, 5, 1])).toEqual({ median: 2, min: 2, max: 2 });
});

test('columns are as wide as their widest cell', () => {
  expect(
    layOut([
      ['', 'images/s'],
      ['san-native', '7'],
      ['x', '100'],
    ]),
  ).toEqual(['              images/s', '  san-native         7', '  x                100']);
});
