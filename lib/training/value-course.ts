import { badness } from '../config/schema.js';
import type { MetricsLine } from './metrics-file.js';

/** What one loss or metric was over a run, by the lines of its metrics.jsonl. */
export class ValueCourse {
  private readonly name: string | undefined;
  private readonly values: { step: number; value: number }[] = [];

  /** @param name Undefined for no value at all. */
  constructor(name: string | undefined) {
    this.name = name;
  }

  /** Takes in a line, oldest first. */
  record(line: MetricsLine): void {
    const value = this.name === undefined ? undefined : line[this.name];
    if (typeof value === 'number') this.values.push({ step: line.step, value });
  }

  /** The latest value up to a step. */
  at(step: number): number | undefined {
    return this.values.findLast((entry) => entry.step <= step)?.value;
  }
}

/** Of some steps, the one with the best value; the earliest of equals. Undefined when none has a value. */
export function bestOf(
  steps: readonly number[],
  name: string,
  valueAt: (step: number) => number | undefined,
): { step: number; value: number } | undefined {
  const valued = steps.flatMap((step) => {
    const value = valueAt(step);
    return value === undefined ? [] : [{ step, value }];
  });
  return valued.sort((a, b) => badness(name, a.value) - badness(name, b.value) || a.step - b.step)[0];
}
