import { LOSS_NAMES } from '../native.js';
import { lossesFrom, type MeanLosses } from './loss-history.js';

/** Mean of the losses in which older steps fade, without the pull of a starting value. */
export class RunningMean {
  private readonly weight: number;
  /** Of each loss: what its values weigh together, and their mean. */
  private readonly means = new Map(LOSS_NAMES.map((name) => [name, { total: 0, mean: 0 }]));

  /** @param steps After so many steps a value counts about a third of a new one. */
  constructor(steps = 100) {
    this.weight = 1 / steps;
  }

  /** Zeros before the first step; no gp before the first step that has it. */
  get value(): MeanLosses {
    return lossesFrom((name) => {
      const { total = 0, mean } = this.means.get(name) ?? {};
      return name === 'gp' && total === 0 ? undefined : mean;
    });
  }

  add(losses: MeanLosses): void {
    for (const [name, entry] of this.means) {
      const value = losses[name];
      if (value === undefined) continue;
      entry.total += this.weight * (1 - entry.total);
      entry.mean += (this.weight / entry.total) * (value - entry.mean);
    }
  }
}
