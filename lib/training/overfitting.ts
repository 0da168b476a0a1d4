/** Whether R knows the training images by heart, told by the course of LGD alone. */
import type { Config } from '../config/schema.js';
import type { LossPoint } from './loss-history.js';

/** Parts of the run so far that are held against each other. */
const PARTS = 10;
/** Points from which on such a part says something. */
const FEWEST = 100;
/** LGD over its lowest from which on R has outgrown G: docs/quality.md, "Small sets, long runs". */
const RISEN = 1.5;

/** LGD of the last tenth of a run so far, beside that of the tenth in which it was lowest. */
export interface Rise {
  now: number;
  lowest: number;
  /** The last step of that tenth. */
  step: number;
}

/**
 * How far LGD has risen in the steps after the warm-up of repulsion. Undefined without repulsion, for then nothing drives
 * R and G apart, and while there are too few steps.
 */
export function riseOf(
  history: readonly LossPoint[],
  { repulsionWeight, repulsionWarmup }: Pick<Config, 'repulsionWeight' | 'repulsionWarmup'>,
): Rise | undefined {
  const points = history.filter(({ step }) => step > repulsionWarmup);
  if (repulsionWeight === 0 || points.length < FEWEST) return undefined;
  const means = Array.from({ length: PARTS }, (_, i) => {
    const part = points.slice(
      Math.floor((i * points.length) / PARTS),
      Math.floor(((i + 1) * points.length) / PARTS),
    );
    const lgd = part.reduce((sum, { losses }) => sum + losses.lgd, 0) / part.length;
    return { lgd, step: part.at(-1)?.step ?? 0 };
  });
  const lowest = means.reduce((least, part) => (part.lgd < least.lgd ? part : least));
  return { now: means.at(-1)?.lgd ?? 0, lowest: lowest.lgd, step: lowest.step };
}

/** What is wrong, in words; nothing while G keeps up. */
export function overfitting(
  history: readonly LossPoint[],
  config: Pick<Config, 'repulsionWeight' | 'repulsionWarmup'>,
  step: number,
): { kind: string; message: string }[] {
  const rise = riseOf(history, config);
  if (rise === undefined || !(rise.now >= RISEN * rise.lowest)) return [];
  const { now, lowest } = rise;
  const message = `step ${step}: the reverser learns the training images by heart (overfitting): LGD is ${now.toFixed(2)}, ${(now / lowest).toFixed(1)} times what it was around step ${rise.step}, and pictures may get worse from here; more images, reverserShift = 0.125, flipHorizontal or a lower repulsionMargin help, and keepBest keeps the best checkpoint`;
  return [{ kind: 'overfitting', message }];
}
