import type { LossSums } from '../checkpoint/metadata.js';
import { type Config, METRIC_NAMES, type MetricName } from '../config/schema.js';
import { LOSS_NAMES, type StepReport } from '../native.js';
import { LossHistory, lossesFrom, lossesOfStep, type MeanLosses } from './loss-history.js';
import type { MetricPoint } from './metric-curves.js';
import type { MetricsFile, MetricsLine } from './metrics-file.js';

export interface MetricsLogOptions {
  file: MetricsFile;
  config: Pick<Config, 'logEvery' | 'batchSize' | 'penaltyWeight' | 'penaltyEvery'>;
  /** Of a run that is continued: the sums of its latest steps, those after the last line of losses. */
  recent?: LossSums | undefined;
  /** Told every line, those of the run so far first. */
  onLine?: (line: MetricsLine, before: boolean) => void;
}

/** What a run measures: a line of metrics.jsonl every so many steps and at each evaluation, and the course for curves. */
export class MetricsLog {
  readonly history = new LossHistory();
  /** Oldest first. */
  readonly metrics: MetricPoint[] = [];
  private readonly options: MetricsLogOptions;
  private sums: LossSums;
  private lines: MetricsLine[] = [];

  constructor(options: MetricsLogOptions) {
    this.options = options;
    this.sums = options.recent ?? noSums();
    for (const line of options.file.kept) this.take(line, true);
  }

  /** Sums over the steps since the last multiple of `logEvery`. */
  get recent(): LossSums {
    return this.sums;
  }

  /** The latest value of each metric. */
  get latest(): MetricPoint['values'] {
    return this.metrics.at(-1)?.values ?? {};
  }

  /**
   * Takes in a chunk that ended `seconds` after the start of the run. Lines end at multiples of `logEvery` and at
   * `lastStep`, so they do not depend on how the steps fell into chunks. Skipped steps count as such; a line without
   * any other step has no losses. @param learningRate At the end of the chunk's step of this index.
   */
  record(
    report: StepReport,
    seconds: number,
    lastStep: number,
    learningRate: (index: number) => number,
  ): void {
    const { logEvery } = this.options.config;
    const first = report.step - report.losses.length + 1;
    const skipped = new Set(report.skipped.map(({ step }) => step));
    for (const [i, losses] of report.losses.entries()) {
      const step = first + i;
      this.sums = skipped.has(step)
        ? { ...this.sums, skipped: this.sums.skipped + 1 }
        : added(this.sums, lossesOfStep(losses, step, this.options.config));
      const due = step % logEvery === 0;
      if (!due && step !== lastStep) continue;
      const { sums } = this;
      // A last line between the multiples leaves the sums, for the run may be continued with more steps.
      if (due) this.sums = noSums();
      this.add({
        ...this.head(step, seconds),
        learningRate: significant(learningRate(i)),
        ...(sums.steps > 0 && rounded(meanOf(sums))),
        ...(sums.skipped > 0 && { skipped: sums.skipped }),
      });
    }
  }

  /** Takes in an evaluation. */
  recordMetrics(step: number, seconds: number, values: MetricPoint['values']): void {
    const entries = Object.entries(values).map(([name, value]) => [name, significant(value)]);
    this.add({ ...this.head(step, seconds), ...Object.fromEntries(entries) });
  }

  /** Writes the lines that are due. Throws OutputError; they then go with the next ones. */
  async flush(): Promise<void> {
    const { lines } = this;
    this.lines = [];
    await this.options.file.append(lines);
  }

  private head(step: number, seconds: number) {
    return { step, images: step * this.options.config.batchSize, seconds: significant(seconds) };
  }

  private add(line: MetricsLine): void {
    this.lines.push(line);
    this.take(line, false);
  }

  private take(line: MetricsLine, before: boolean): void {
    if (hasLosses(line)) this.history.push({ step: line.step, losses: lossesOf(line) });
    if (hasMetrics(line)) this.metrics.push({ step: line.step, values: metricsOf(line) });
    this.options.onLine?.(line, before);
  }
}

/** Of no steps. */
export const noSums = (): LossSums => ({
  steps: 0,
  penalties: 0,
  skipped: 0,
  losses: { lgd: 0, lgi: 0, lrz: 0, lrx: 0, llz: 0, gp: 0 },
});

const added = ({ steps, penalties = 0, losses: sums, ...rest }: LossSums, losses: MeanLosses): LossSums => ({
  ...rest,
  steps: steps + 1,
  penalties: penalties + (losses.gp === undefined ? 0 : 1),
  losses: { ...sums, ...lossesFrom((name) => sums[name] + (losses[name] ?? 0)) },
});

function meanOf({ steps, penalties = 0, losses }: LossSums): MeanLosses {
  const { gp, ...others } = lossesFrom((name) => losses[name] / steps);
  return penalties === 0 ? others : { ...others, gp: losses.gp / penalties };
}

const hasLosses = (line: MetricsLine): boolean =>
  LOSS_NAMES.every((name) => name === 'gp' || typeof line[name] === 'number');

/** Whether a line is that of an evaluation. */
export const hasMetrics = (line: MetricsLine): boolean =>
  METRIC_NAMES.some((name) => typeof line[name] === 'number');

const lossesOf = (line: MetricsLine): MeanLosses => lossesFrom((name) => line[name] as number | undefined);

const metricsOf = (line: MetricsLine): Partial<Record<MetricName, number>> =>
  Object.fromEntries(
    METRIC_NAMES.flatMap((name) => (typeof line[name] === 'number' ? [[name, line[name]]] : [])),
  );

const significant = (value: number): number => Number(value.toPrecision(6));

const rounded = (losses: MeanLosses): MeanLosses =>
  lossesFrom((name) => (losses[name] === undefined ? undefined : significant(losses[name])));
