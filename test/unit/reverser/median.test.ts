import { expect, it } from 'vitest';
import { median } from '../../../lib/reverser/median.js';

it('is the middle value, or the mean of the two in the middle', () => {
  expect(median([7])).toBe(7);
  expect(median([10, 1, 2])).toBe(2);
  expect(median([4, 1, 10, 2])).toBe(3);
});
