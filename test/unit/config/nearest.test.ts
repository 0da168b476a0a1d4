import { describe, expect, it } from 'vitest';
import { fields } from '../../../lib/config/fields.js';
import { nearestName } from '../../../lib/config/nearest.js';

const keys = fields.map(({ key }) => key);

describe('nearestName', () => {
  it.each([
    ['lamda', 'lambda'],
    ['LAMBDA', 'lambda'],
    ['batch', 'batchSize'],
    ['batch_size', 'batchSize'],
    ['lr', 'learningRate'],
    ['ema', 'emaDecay'],
    ['wgd', 'wGD'],
    ['imgSize', 'imageSize'],
    ['epsilonSinkhorn', undefined],
    ['x', undefined],
    ['', undefined],
    ['--', undefined],
  ])('of %j is %j', (name, expected) => {
    expect(nearestName(name, keys)).toBe(expected);
  });

  it('finds every key from itself and from its flag', () => {
    for (const key of keys) expect(nearestName(key.toUpperCase(), keys)).toBe(key);
  });
});
