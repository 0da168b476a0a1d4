/**
 * Calls `work` on each item, `limit` at a time at most, and takes the next item only when a call has ended. After an
 * abort or an error no further item is taken; the promise then rejects, but only once all running calls have ended.
 */
export async function eachInParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  signal: AbortSignal | undefined,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // One generator for all workers; an error in one of them closes it for the others.
  const queue = (async function* () {
    for await (const item of items) {
      signal?.throwIfAborted();
      yield item;
    }
  })();
  const workers = Array.from({ length: limit }, async () => {
    for await (const item of queue) await work(item);
  });
  const failed = (await Promise.allSettled(workers)).find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  signal?.throwIfAborted();
}
