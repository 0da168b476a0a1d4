import { LOSS_NAMES, type Losses } from '../native.js';

/** The losses around one step. */
export interface LossPoint {
  step: number;
  losses: Losses;
}

/** The whole course of a run in bounded memory: when full, neighbouring points are merged into their mean. */
export class LossHistory {
  private readonly capacity: number;
  private list: LossPoint[] = [];
  private pending: LossPoint[] = [];
  private perPoint = 1;

  constructor(capacity = 1000) {
    this.capacity = capacity;
  }

  /** Oldest first. */
  get points(): readonly LossPoint[] {
    return this.list;
  }

  push(point: LossPoint): void {
    this.pending.push(point);
    if (this.pending.length < this.perPoint) return;
    this.list.push(merged(this.pending));
    this.pending = [];
    if (this.list.length < this.capacity) return;
    this.list = Array.from({ length: this.capacity / 2 }, (_, i) =>
      merged(this.list.slice(2 * i, 2 * i + 2)),
    );
    this.perPoint *= 2;
  }
}

const merged = (points: readonly LossPoint[]): LossPoint => ({
  step: points.at(-1)?.step ?? 0,
  losses: meanLosses(points.map((point) => point.losses)),
});

/** Mean of each loss; of nothing, zeros. */
export function meanLosses(all: readonly Losses[]): Losses {
  const mean = (name: keyof Losses) =>
    all.reduce((sum, losses) => sum + losses[name], 0) / Math.max(1, all.length);
  return Object.fromEntries(LOSS_NAMES.map((name) => [name, mean(name)])) as Losses;
}
