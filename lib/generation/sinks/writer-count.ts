/**
 * How many threads write a folder's files. One after another waits for the folder's lock in the kernel, so that two threads take
 * more of the processor than one for the same files, from the threads that draw: there is a second one only while images
 * wait for the first.
 */
export class WriterCount {
  /** Of the next batch; 1 or more. */
  threads = 1;
  private end: number | undefined;

  /** `most` is 1 or more. */
  constructor(private readonly most: number) {}

  /**
   * After each batch, with the times in milliseconds at which writing it began and ended: the time from the end of the one
   * before is that in which there was nothing to write.
   */
  record(begin: number, end: number): void {
    const waited = this.end === undefined ? Number.POSITIVE_INFINITY : begin - this.end;
    this.end = end;
    const wrote = end - begin;
    if (waited < wrote * IDLE) this.threads = Math.min(this.most, this.threads + 1);
    // With one thread fewer there would still be time to spare.
    else if (this.threads > 1 && (wrote * this.threads) / (this.threads - 1) < (waited + wrote) * (1 - SPARE))
      this.threads--;
  }
}

/** Share of the writing time below which a wait says that images were there before the writers. */
const IDLE = 0.05;
/** Share of the time in which writers must be idle. */
const SPARE = 0.3;
