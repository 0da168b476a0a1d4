import type { Config } from '../config/schema.js';

/** The call of a kind of step in which a GPU captures it: native/src/device/captured.cpp. */
const CAPTURED_IN = 4;

/**
 * Steps from the first on until a GPU has captured both kinds, with and without the gradient penalty, and replays every
 * step. A rare penalty makes that many.
 */
export function stepsUntilCaptured({
  penaltyWeight,
  penaltyEvery,
}: Pick<Config, 'penaltyWeight' | 'penaltyEvery'>): number {
  if (penaltyWeight === 0 || penaltyEvery === 1) return CAPTURED_IN;
  // Steps 0, penaltyEvery, ... have the penalty; the others are fewer only where it is every second one.
  const withPenalty = (CAPTURED_IN - 1) * penaltyEvery + 1;
  return penaltyEvery === 2 ? withPenalty + 1 : withPenalty;
}
