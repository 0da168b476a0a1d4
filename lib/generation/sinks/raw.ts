/** Bare pixels into a stream: uint8 [count, S, S, C], what an .npy file holds after its header. */
import type { Writable } from 'node:stream';
import { OutputError } from '../../errors.js';
import { fileErrorReason } from '../../files.js';
import type { IndexedImages, IndexRange } from '../stream.js';
import type { ImageSet, Sink } from './sink.js';

/** Of a stream nothing can be gone on with: it gets all, and stays open. */
export class RawStream implements Sink {
  readonly missing: readonly IndexRange[];
  private readonly stream: Writable;
  /** write() tells its caller; without a listener the event would end the process. */
  private readonly onError = (): void => {};

  constructor(
    stream: Writable,
    { startIndex, count }: ImageSet,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.stream = stream;
    this.missing = [{ start: startIndex, count }];
    stream.on('error', this.onError);
  }

  async write({ data }: IndexedImages): Promise<void> {
    // Whoever saw the images first may have had enough; an abort is heard once.
    this.signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      // A reader may keep its end open and never read again.
      const stop = () => settle(() => reject(this.signal?.reason));
      // Whoever closes a stream without an error, as a client that hangs up does, leaves its callbacks uncalled.
      const closed = () => fail('it was closed before all was written');
      const settle = (done: () => void) => {
        this.signal?.removeEventListener('abort', stop);
        this.stream.off('close', closed);
        done();
      };
      const fail = (reason: string, cause?: Error) =>
        settle(() => reject(new OutputError(`cannot write to the stream: ${reason}`, {}, { cause })));
      this.signal?.addEventListener('abort', stop, { once: true });
      this.stream.once('close', closed);
      this.stream.write(data, (cause) => (cause ? fail(fileErrorReason(cause), cause) : settle(resolve)));
    });
  }

  async finish(): Promise<void> {
    await this.suspend();
  }

  async suspend(): Promise<void> {
    // The event comes after the callback.
    await new Promise(setImmediate);
    this.stream.off('error', this.onError);
  }
}
