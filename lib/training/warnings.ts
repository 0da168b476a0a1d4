import { OutputError } from '../errors.js';
import { LockLost } from '../file-lock.js';
import type { NoteTick } from './ticks.js';

/** Milliseconds before the same fault is told again. */
const REPEAT_AFTER = 30_000;
/** Warnings that are remembered. */
const MOST = 100;

/** Faults that training can live with: told again and again as long as they last. */
export class Warnings {
  private readonly told = new Map<string, number>();
  private list: NoteTick[] = [];
  private readonly texts: string[] = [];

  /** The latest of all that was told, oldest first. */
  get all(): readonly string[] {
    return this.texts;
  }

  /** What `operation` gives; undefined when the output could not be written, which becomes a warning. */
  async tolerate<T>(what: string, operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await operation();
    } catch (error) {
      this.add(what, error);
      return undefined;
    }
  }

  /** Throws `error` again unless it is one of the output that may pass. */
  add(what: string, error: unknown): void {
    if (!(error instanceof OutputError) || error instanceof LockLost) throw error;
    this.repeat(what, `${error.message}; training goes on, ${what} will be tried again`);
  }

  /** Tells a warning unless one of the same kind was told just before. */
  repeat(kind: string, message: string): void {
    const now = performance.now();
    if (now - (this.told.get(kind) ?? Number.NEGATIVE_INFINITY) < REPEAT_AFTER) return;
    this.told.set(kind, now);
    this.tell(message);
  }

  /** Tells a warning. */
  tell(message: string): void {
    this.list.push({ type: 'note', level: 'warning', message });
    this.texts.push(message);
    if (this.texts.length > MOST) this.texts.shift();
  }

  take(): NoteTick[] {
    const { list } = this;
    this.list = [];
    return list;
  }
}
