/** When a run ends before its last step: limits, targets and plateau. */
import { badness, type Config, TARGET } from '../config/schema.js';
import type { MetricsLine } from './metrics-file.js';
import type { EndTick } from './ticks.js';

export type StoppingConfig = Pick<
  Config,
  'batchSize' | 'maxImages' | 'maxMinutes' | 'targets' | 'plateau' | 'plateauPatience' | 'plateauThreshold'
>;

interface Target {
  text: string;
  name: string;
  below: boolean;
  bound: number;
}

/** Why a run ends, for machines and in words. */
export interface Stop {
  stopped: Exclude<EndTick['stopped'], 'finished' | 'aborted'>;
  reason: string;
}

/**
 * Judges a run by the lines of its metrics.jsonl, so that a run that is continued, and has read them again, ends where
 * an unbroken one would. Targets hold when the latest value of each loss (a mean over `logEvery` steps) and metric
 * keeps its bound. A plateau is reached when for `plateauPatience` steps no value was better than the best by
 * `plateauThreshold` of its size.
 */
export class StoppingRules {
  private readonly config: StoppingConfig;
  private readonly targets: readonly Target[];
  private readonly latest = new Map<string, number>();
  private best: { step: number; value: number } | undefined;
  private plateauSince = 0;

  constructor(config: StoppingConfig) {
    this.config = config;
    this.targets = config.targets.map(parseTarget);
  }

  /** Whether anything depends on lines: then it must be asked at each of them. */
  get needLines(): boolean {
    return this.targets.length > 0 || this.config.plateau !== undefined;
  }

  /** Takes in a line, oldest first. */
  record(line: MetricsLine): void {
    for (const { name } of this.targets) {
      const value = line[name];
      if (typeof value === 'number') this.latest.set(name, value);
    }
    const { plateau: name, plateauThreshold } = this.config;
    const value = name === undefined ? undefined : line[name];
    if (name === undefined || typeof value !== 'number') return;
    this.best ??= { step: line.step, value };
    const margin = plateauThreshold * Math.abs(this.best.value);
    if (badness(name, value) < badness(name, this.best.value) - margin)
      this.best = { step: line.step, value };
    this.plateauSince = line.step - this.best.step;
  }

  /** Whether the run ends here, after `step` steps and `seconds` of training. */
  check(step: number, seconds: number): Stop | undefined {
    const { batchSize, maxImages, maxMinutes, plateau, plateauPatience } = this.config;
    if (maxImages !== undefined && step * batchSize >= maxImages)
      return { stopped: 'images', reason: `${step * batchSize} images seen, maxImages = ${maxImages}` };
    if (maxMinutes !== undefined && seconds >= maxMinutes * 60)
      return { stopped: 'time', reason: `maxMinutes = ${maxMinutes} of training are over` };
    if (this.targets.length > 0 && this.targets.every((target) => this.holds(target))) {
      const values = this.targets.map(({ text, name }) => `${text} (now ${this.latest.get(name)})`);
      return { stopped: 'targets', reason: `all targets hold: ${values.join(', ')}` };
    }
    if (plateau !== undefined && this.best !== undefined && this.plateauSince >= plateauPatience) {
      const { value, step: since } = this.best;
      return {
        stopped: 'plateau',
        reason: `${plateau} has not become better than ${value} since step ${since}, plateauPatience = ${plateauPatience}`,
      };
    }
    return undefined;
  }

  private holds({ name, below, bound }: Target): boolean {
    const value = this.latest.get(name);
    return value !== undefined && (below ? value < bound : value > bound);
  }
}

/** The step that reaches `maxImages`, if that comes before `steps`. */
export const lastStepOf = ({ steps, batchSize, maxImages }: Config): number =>
  Math.min(steps, Math.ceil((maxImages ?? Number.POSITIVE_INFINITY) / batchSize));

function parseTarget(text: string): Target {
  const [, name = '', comparison, bound] = TARGET.exec(text) ?? [];
  return { text, name, below: comparison === '<', bound: Number(bound) };
}
