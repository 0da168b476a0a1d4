/** A StepsTick in words: rows that fit a terminal, or one line of a log. */
import type { MetricName } from '../config/schema.js';
import { LOSS_NAMES } from '../native.js';
import type { StepsTick } from '../training/ticks.js';
import { bytes, count, longDuration, rate, significant } from './format.js';

/** Part of a row. Of those that do not fit, the one with the highest `spare` goes first. */
export interface Part {
  text: string;
  spare: number;
}

/** Between the parts of a row. */
const SPACE = '  ';

/** The metrics in the order of their weight, with short names where the long ones would not fit. */
const METRIC_LABELS: Record<MetricName, string> = {
  fd: 'fd',
  kid: 'kid',
  swd: 'swd',
  precision: 'precision',
  recall: 'recall',
  diversity: 'diversity',
  sharpness: 'sharpness',
  reconstruction: 'reconstruction',
  latentMean: 'z mean',
  latentVariance: 'z var',
  latentCovariance: 'z cov',
};

/** Where training is; the losses, the gradient penalty only in runs that have one; the metrics, once there are any. */
export function stepsRows(tick: StepsTick): Part[][] {
  const { step, steps, images, imagesPerSecond, secondsPerKimg, memory, secondsLeft, smoothed } = tick;
  const state = [
    { text: `step ${step}/${steps}`, spare: 0 },
    { text: `${count(images)} images`, spare: 4 },
    { text: `${rate(imagesPerSecond)} images/s`, spare: 2 },
    // Says the same as the rate.
    { text: `${rate(secondsPerKimg)} s/kimg`, spare: 5 },
    { text: bytes(memory), spare: 3 },
    ...(step < steps ? [{ text: `${longDuration(secondsLeft)} left`, spare: 1 }] : []),
  ];
  const losses = LOSS_NAMES.flatMap((name) =>
    smoothed[name] === undefined ? [] : [`${name.toUpperCase()} ${significant(smoothed[name])}`],
  );
  if (tick.skipped > 0) losses.push(`${count(tick.skipped)} skipped`);
  const metrics = Object.entries(METRIC_LABELS).flatMap(([name, label]) => {
    const value = tick.metrics[name as MetricName];
    return value === undefined ? [] : [`${label} ${significant(value)}`];
  });
  return [state, inOrder(losses), inOrder(metrics)].filter((row) => row.length > 0);
}

const inOrder = (texts: readonly string[]): Part[] => texts.map((text, i) => ({ text, spare: i }));

/** A row of at most so many characters. */
export function fitted(row: readonly Part[], columns: number): string {
  const text = joined(row);
  if (text.length <= columns || row.length < 2) return text.slice(0, columns);
  const most = Math.max(...row.map(({ spare }) => spare));
  return fitted(
    row.filter(({ spare }) => spare !== most),
    columns,
  );
}

/** All rows as one line, nothing left out. */
export const asLine = (rows: readonly Part[][]): string => joined(rows.flat());

const joined = (parts: readonly Part[]): string => parts.map(({ text }) => text).join(SPACE);
