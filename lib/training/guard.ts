/** What a run does about steps in which a loss or gradient is not finite. */
import { type GuardState, noFailure } from '../checkpoint/metadata.js';
import { SanError } from '../errors.js';
import type { SkippedStep } from '../native.js';

/** Skipped steps in a row that are one failure. */
export const PATIENCE = 3;

export interface Failure {
  step: number;
  /** What was not finite first. */
  what: string;
}

/** Watches which steps were skipped. Three in a row are a failure: the run goes back, or ends if it just did that. */
export class Guard {
  private current: GuardState;
  private first: string | undefined;

  constructor(state: GuardState = noFailure()) {
    this.current = { ...state };
  }

  get state(): GuardState {
    return { ...this.current };
  }

  /** Takes in the steps up to `step`, of which some were skipped; gives the failure, if they make one. */
  record(step: number, done: number, skipped: readonly SkippedStep[]): Failure | undefined {
    const bad = new Map(skipped.map(({ step, what }) => [step, what]));
    for (let s = step - done + 1; s <= step; s++) {
      const what = bad.get(s);
      if (what === undefined) {
        this.current.inRow = 0;
        continue;
      }
      if (this.current.inRow === 0) this.first = what;
      this.current.inRow++;
      if (this.current.inRow >= PATIENCE) return { step: s, what: this.first ?? what };
    }
    return undefined;
  }

  /** A whole checkpoint of `step` is safe: an earlier failure is behind the run when it got past that. */
  passed(step: number): void {
    if (this.current.failedAt !== 0 && step > this.current.failedAt && this.current.inRow === 0)
      this.current.failedAt = 0;
  }

  /**
   * What to watch with after the roll-back for `failure`, from a state that was saved with `saved`. Throws
   * ERR_SAN_NON_FINITE when the run has just been rolled back and got no further.
   */
  rollBack({ step, what }: Failure, saved: GuardState = noFailure()): Guard {
    if (this.current.failedAt !== 0) {
      throw new SanError(
        'ERR_SAN_NON_FINITE',
        `${what} was not finite in ${PATIENCE} steps in a row up to step ${step}, and again after going back with half the learning rate; training stopped, checkpoints are unharmed; lower learningRate in a new run, or look for bad images`,
        { field: what },
      );
    }
    return new Guard({
      inRow: saved.inRow,
      learningRateScale: this.current.learningRateScale / 2,
      failedAt: step,
    });
  }
}
