/** Work that may run side by side, and work that must be alone, among all that go through one gate. */
export class Gate {
  private running = 0;
  private alone: Promise<unknown> | undefined;
  private wake: (() => void) | undefined;

  /** Runs `work` beside others, but not while some other is alone. */
  async together<T>(work: () => Promise<T>): Promise<T> {
    while (this.alone) await this.alone.catch(() => {});
    this.running++;
    try {
      return await work();
    } finally {
      if (--this.running === 0) this.wake?.();
    }
  }

  /** Waits until nothing runs, and lets nothing begin before `work` has ended. */
  async apart<T>(work: () => Promise<T>): Promise<T> {
    while (this.alone) await this.alone.catch(() => {});
    const result = (async () => {
      if (this.running > 0) await new Promise<void>((resolve) => (this.wake = resolve));
      return work();
    })();
    this.alone = result;
    try {
      return await result;
    } finally {
      this.alone = undefined;
      this.wake = undefined;
    }
  }
}
