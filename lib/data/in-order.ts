/** Work on a stream of items, many at a time, with the results in the order of the items. */

export interface InOrderOptions<T> {
  /** Calls of `work` at a time. */
  parallel: number;
  /** Items that may wait for their turn, or for that of their result. */
  ahead: number;
  /** Size of an item; no item is taken while those taken have more than `budget` in all. */
  sizeOf(item: T): number;
  budget: number;
}

/**
 * Takes items, calls `work` on them and yields what it gives. Items are taken one by one and as far ahead as the options
 * let. When `items` or `work` throws, and when the caller leaves, nothing more is begun; the error comes once all
 * running calls have ended.
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  { parallel, ahead, sizeOf, budget }: InOrderOptions<T>,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, void> {
  const pending: { size: number; result: Promise<R> }[] = [];
  const bell = new Bell();
  let running = 0;
  let size = 0;
  let ended = false;
  const run = async (item: T): Promise<R> => {
    while (running >= parallel && !ended) await bell.rung();
    if (ended) throw new Error('not begun');
    running++;
    try {
      return await work(item);
    } finally {
      running--;
      bell.ring();
    }
  };
  const take = async (): Promise<void> => {
    for await (const item of items) {
      if (ended) return;
      const entry = { size: sizeOf(item), result: run(item) };
      // Its error is met when its turn comes, or not at all.
      entry.result.catch(() => {});
      pending.push(entry);
      size += entry.size;
      bell.ring();
      while (!ended && (pending.length >= ahead || size > budget)) await bell.rung();
    }
  };
  let taken = false;
  const taking = take().finally(() => {
    taken = true;
    bell.ring();
  });
  taking.catch(() => {});
  try {
    for (;;) {
      while (pending.length === 0 && !taken) await bell.rung();
      const [first] = pending;
      if (first === undefined) break;
      yield await first.result;
      pending.shift();
      size -= first.size;
      bell.ring();
    }
    await taking;
  } finally {
    ended = true;
    bell.ring();
    await Promise.allSettled([taking, ...pending.map(({ result }) => result)]);
  }
}

/** Wakes all who wait for a change. */
class Bell {
  private waiting: (() => void)[] = [];

  ring(): void {
    for (const wake of this.waiting.splice(0)) wake();
  }

  rung(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
