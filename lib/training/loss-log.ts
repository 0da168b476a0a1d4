import { SanError } from '../errors.js';
import { LOSS_NAMES, type Losses, type StepReport } from '../native.js';
import { LossHistory, meanLosses } from './loss-history.js';
import type { RunFolder } from './run-folder.js';

/** Sums up the losses of a run: a line of metrics.jsonl every so many steps, and their course for the curve. */
export class LossLog {
  readonly history = new LossHistory();
  private readonly folder: RunFolder;
  private readonly every: number;
  private readonly batchSize: number;
  private window: Losses[] = [];

  constructor(folder: RunFolder, { logEvery, batchSize }: { logEvery: number; batchSize: number }) {
    this.folder = folder;
    this.every = logEvery;
    this.batchSize = batchSize;
  }

  /**
   * Takes in a chunk that ended `seconds` after the start of the run. Lines end at multiples of `logEvery` and at
   * `lastStep`, so they do not depend on how the steps fell into chunks. Throws ERR_SAN_NON_FINITE after writing what came before.
   */
  async record(report: StepReport, seconds: number, lastStep: number): Promise<void> {
    const lines: object[] = [];
    const first = report.step - report.losses.length + 1;
    const bad = report.losses.findIndex((losses) => nonFinite(losses) !== undefined);
    const good = bad < 0 ? report.losses : report.losses.slice(0, bad);
    for (const [i, losses] of good.entries()) {
      const step = first + i;
      this.window.push(losses);
      if (step % this.every !== 0 && step !== lastStep) continue;
      const mean = meanLosses(this.window);
      this.window = [];
      this.history.push({ step, losses: mean });
      const images = step * this.batchSize;
      lines.push({ step, images, seconds: significant(seconds), ...rounded(mean) });
    }
    await this.folder.appendMetrics(lines);
    if (bad >= 0) throw nonFiniteError(report.losses[bad] as Losses, first + bad);
  }
}

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

const rounded = (losses: Losses): Losses =>
  Object.fromEntries(LOSS_NAMES.map((name) => [name, significant(losses[name])])) as Losses;
