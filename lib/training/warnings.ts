import { OutputError } from '../errors.js';
import type { NoteTick } from './ticks.js';

/** Milliseconds before the same fault is told again. */
const REPEAT_AFTER = 30_000;

/** Faults of the output that training can live with: told again and again as long as they last. */
export class Warnings {
  private readonly told = new Map<string, number>();
  private list: NoteTick[] = [];

  /** What `operation` gives; undefined when the output could not be written, which becomes a warning. */
  async tolerate<T>(what: string, operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await operation();
    } catch (error) {
      this.add(what, error);
      return undefined;
    }
  }

  /** Throws `error` again unless it is one of the output. */
  add(what: string, error: unknown): void {
    if (!(error instanceof OutputError)) throw error;
    const now = performance.now();
    if (now - (this.told.get(what) ?? Number.NEGATIVE_INFINITY) < REPEAT_AFTER) return;
    this.told.set(what, now);
    this.list.push({
      type: 'note',
      level: 'warning',
      message: `${error.message}; training goes on, ${what} will be tried again`,
    });
  }

  take(): NoteTick[] {
    const { list } = this;
    this.list = [];
    return list;
  }
}
