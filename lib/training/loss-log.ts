import type { LossSums } from '../checkpoint/checkpoint.js';
import { SanError } from '../errors.js';
import { LOSS_NAMES, type Losses, type LossName, type StepReport } from '../native.js';
import { LossHistory } from './loss-history.js';
import type { MetricsFile, MetricsLine } from './metrics-file.js';

/** Sums up the losses of a run: a line of metrics.jsonl every so many steps, and their course for the curve. */
export class LossLog {
  readonly history = new LossHistory();
  private readonly file: MetricsFile;
  private readonly every: number;
  private readonly batchSize: number;
  private sums: LossSums;
  private lines: MetricsLine[] = [];

  /** @param recent Of a run that is continued: the sums of its latest steps, those after the last line of `file`. */
  constructor(file: MetricsFile, config: { logEvery: number; batchSize: number }, recent = noSums()) {
    this.file = file;
    this.every = config.logEvery;
    this.batchSize = config.batchSize;
    this.sums = recent;
    for (const line of file.kept)
      if (hasLosses(line)) this.history.push({ step: line.step, losses: lossesOf(line) });
  }

  /** Sums over the steps since the last multiple of `logEvery`. */
  get recent(): LossSums {
    return this.sums;
  }

  /** Lines that the next flush() writes, oldest first. */
  get due(): readonly MetricsLine[] {
    return this.lines;
  }

  /**
   * Takes in a chunk that ended `seconds` after the start of the run. Lines end at multiples of `logEvery` and at
   * `lastStep`, so they do not depend on how the steps fell into chunks. Of a chunk with a loss that is not finite it
   * takes what came before, and gives ERR_SAN_NON_FINITE back.
   */
  record(report: StepReport, seconds: number, lastStep: number): SanError | undefined {
    const first = report.step - report.losses.length + 1;
    for (const [i, losses] of report.losses.entries()) {
      const step = first + i;
      if (nonFinite(losses) !== undefined) return nonFiniteError(losses, step);
      this.sums = added(this.sums, losses);
      const due = step % this.every === 0;
      if (!due && step !== lastStep) continue;
      const mean = rounded(meanOf(this.sums));
      // A last line between the multiples leaves the sums, for the run may be continued with more steps.
      if (due) this.sums = noSums();
      this.history.push({ step, losses: mean });
      this.lines.push({ step, images: step * this.batchSize, seconds: significant(seconds), ...mean });
    }
    return undefined;
  }

  /** Writes the lines that are due. Throws OutputError; they then go with the next ones. */
  async flush(): Promise<void> {
    const { lines } = this;
    this.lines = [];
    await this.file.append(lines);
  }
}

const lossesFrom = (value: (name: LossName) => number): Losses =>
  Object.fromEntries(LOSS_NAMES.map((name) => [name, value(name)])) as Losses;

const noSums = (): LossSums => ({ steps: 0, losses: lossesFrom(() => 0) });

const added = (sums: LossSums, losses: Losses): LossSums => ({
  steps: sums.steps + 1,
  losses: lossesFrom((name) => sums.losses[name] + losses[name]),
});

const meanOf = ({ steps, losses }: LossSums): Losses => lossesFrom((name) => losses[name] / steps);

const hasLosses = (line: MetricsLine): boolean => LOSS_NAMES.every((name) => typeof line[name] === 'number');

const lossesOf = (line: MetricsLine): Losses => lossesFrom((name) => line[name] as number);

const nonFinite = (losses: Losses) => LOSS_NAMES.find((name) => !Number.isFinite(losses[name]));

function nonFiniteError(losses: Losses, step: number): SanError {
  const name = nonFinite(losses) ?? 'lgd';
  return new SanError(
    'ERR_SAN_NON_FINITE',
    `the loss ${name.toUpperCase()} became ${losses[name]} at step ${step}; training stopped, earlier checkpoints are unharmed; a lower learningRate may help`,
    { field: name, value: losses[name] },
  );
}

const significant = (value: number): number => Number(value.toPrecision(6));

const rounded = (losses: Losses): Losses => lossesFrom((name) => significant(losses[name]));
