import type { Config } from '../config/schema.js';
import { LOSS_NAMES, type Losses, type LossName } from '../native.js';

/** Losses of a step, or their means; gp over the steps that have the gradient penalty, and not there without any. */
export type MeanLosses = Omit<Losses, 'gp'> & { gp?: number };

/** The losses around one step. */
export interface LossPoint {
  step: number;
  losses: MeanLosses;
}

/** The losses of `step`, counted from 1, by what a trainer says of it: without gp, unless it had the penalty. */
export function lossesOfStep(
  losses: Losses,
  step: number,
  { penaltyWeight, penaltyEvery }: Pick<Config, 'penaltyWeight' | 'penaltyEvery'>,
): MeanLosses {
  if (penaltyWeight > 0 && (step - 1) % penaltyEvery === 0) return losses;
  const { gp: _, ...others } = losses;
  return others;
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

/** Mean of each loss over the steps that have it; of nothing, zeros, and no gp. */
export function meanLosses(all: readonly MeanLosses[]): MeanLosses {
  return lossesFrom((name) => {
    const values = all.flatMap((losses) => losses[name] ?? []);
    if (values.length === 0) return name === 'gp' ? undefined : 0;
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  });
}

/** Losses that are undefined are left out; none but gp may be. */
export const lossesFrom = (value: (name: LossName) => number | undefined): MeanLosses =>
  Object.fromEntries(
    LOSS_NAMES.flatMap((name) => {
      const loss = value(name);
      return loss === undefined ? [] : [[name, loss]];
    }),
  ) as MeanLosses;
