import { describe, expect, it } from 'vitest';
import { stepsUntilCaptured } from '../../../lib/training/captured-steps.js';

describe('stepsUntilCaptured', () => {
  it('is when each kind of step has come four times', () => {
    for (const penaltyEvery of [1, 2, 3, 4, 5, 16]) {
      const calls = { penalty: 0, plain: 0 };
      let steps = 0;
      while (calls.penalty < 4 || (penaltyEvery > 1 && calls.plain < 4))
        calls[steps++ % penaltyEvery === 0 ? 'penalty' : 'plain']++;
      expect(stepsUntilCaptured({ penaltyWeight: 1, penaltyEvery }), `every ${penaltyEvery}`).toBe(steps);
    }
    expect(stepsUntilCaptured({ penaltyWeight: 0, penaltyEvery: 4 })).toBe(4);
  });
});
