import { LOSS_NAMES, type Losses } from '../native.js';

/** Mean of the losses in which older steps fade, without the pull of a starting value. */
export class RunningMean {
  private readonly weight: number;
  private total = 0;
  private mean = Object.fromEntries(LOSS_NAMES.map((name) => [name, 0])) as Losses;

  /** @param steps After so many steps a value counts about a third of a new one. */
  constructor(steps = 100) {
    this.weight = 1 / steps;
  }

  /** Zeros before the first step. */
  get value(): Losses {
    return { ...this.mean };
  }

  add(losses: Losses): void {
    this.total += this.weight * (1 - this.total);
    const share = this.weight / this.total;
    for (const name of LOSS_NAMES) this.mean[name] += share * (losses[name] - this.mean[name]);
  }
}
