import { setImmediate } from 'node:timers/promises';

/** Milliseconds of computing after which other work gets its turn. */
const TURN = 20;

/** Long computations on the main thread, in pieces: so that progress is shown and an abort is heard. */
export class Turns {
  private readonly signal: AbortSignal | undefined;
  private since = performance.now();

  constructor(signal?: AbortSignal | undefined) {
    this.signal = signal;
  }

  /** Whether it is time to take() one; cheap enough for inner loops. */
  due(): boolean {
    return performance.now() - this.since > TURN;
  }

  /** After an abort it throws the signal's reason. */
  async take(): Promise<void> {
    await setImmediate();
    this.signal?.throwIfAborted();
    this.since = performance.now();
  }
}
