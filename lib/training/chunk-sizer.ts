/** Steps per call into the native half: as many as fit the time, so that ticks come often and calls cost nothing. */
export class ChunkSizer {
  private readonly seconds: number;
  private steps = 0;
  private secondsPerStep = 0;

  /** @param seconds Time that one chunk should take at most; a chunk is never less than one step. */
  constructor(seconds = 0.25) {
    this.seconds = seconds;
  }

  /** Steps of the next chunk, 1 to `limit`. Starts at one and at most doubles from chunk to chunk. */
  next(limit: number): number {
    const fitting = this.steps === 0 ? 1 : Math.floor(this.seconds / this.secondsPerStep);
    return Math.max(1, Math.min(limit, fitting, this.steps * 2));
  }

  /** Takes in how long a chunk took. The latest chunks count most: other work on the machine comes and goes. */
  record(steps: number, seconds: number): void {
    const measured = Math.max(seconds / steps, 1e-6);
    this.secondsPerStep = this.steps === 0 ? measured : (this.secondsPerStep + measured) / 2;
    this.steps = steps;
  }
}
