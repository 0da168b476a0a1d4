/** Takes exact counts of bytes from a stream of chunks. */
export class ByteQueue {
  private readonly chunks: AsyncIterator<Uint8Array>;
  private rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `count` bytes, in memory that nothing else uses; undefined when the stream ends before. */
  async take(count: number): Promise<Uint8Array | undefined> {
    const bytes = new Uint8Array(count);
    for (let filled = 0; ; ) {
      const part = this.rest.subarray(0, count - filled);
      bytes.set(part, filled);
      this.rest = this.rest.subarray(part.length);
      filled += part.length;
      if (filled === count) return bytes;
      if (!(await this.refill())) return undefined;
    }
  }

  /** Whether no byte is left. */
  async ended(): Promise<boolean> {
    return this.rest.length === 0 && !(await this.refill());
  }

  /** Gets the next chunk that is not empty; false at the end. */
  private async refill(): Promise<boolean> {
    do {
      const { value, done } = await this.chunks.next();
      if (done) return false;
      this.rest = value;
    } while (this.rest.length === 0);
    return true;
  }
}
