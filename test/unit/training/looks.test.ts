import { describe, expect, it } from 'vitest';
import { complaints, looksOf } from '../../../lib/training/looks.js';
import { levels } from '../metrics/support.js';

describe('complaints', () => {
  it('says what is wrong with the pictures, with step and number', () => {
    expect(complaints({ diversity: 0.2, sharpness: 1 }, 500, 1000)).toEqual([
      { kind: 'mode collapse', message: expect.stringMatching(/^step 500: .*mode collapse.* 0\.20 times/) },
    ]);
    expect(complaints({ diversity: 0.9, sharpness: 0.31 }, 1000, 1000)).toEqual([
      { kind: 'blur', message: expect.stringMatching(/blurred.* 0\.31 times/) },
    ]);
  });

  it('says nothing about good pictures, nor early in a run', () => {
    expect(complaints({ diversity: 0.8, sharpness: 2 }, 1000, 1000)).toEqual([]);
    expect(complaints({ diversity: 0, sharpness: 0 }, 249, 1000)).toEqual([]);
  });
});

describe('looks', () => {
  it('compares generated images with real ones', () => {
    expect(looksOf(levels(5), levels(5))?.diversity).toBeCloseTo(1);
    expect(
      looksOf({ data: new Uint8Array(3 * 256), shape: [3, 16, 16, 1] }, levels(5))?.diversity,
    ).toBeCloseTo(0);
  });

  it('wants two of either kind', () => {
    expect(looksOf(levels(1), levels(5))).toBeUndefined();
    expect(looksOf(levels(5), levels(1))).toBeUndefined();
  });
});
