/** How much is read before it is asked for. */
export interface AheadLimits {
  items: number;
  bytes: number;
}

/**
 * Reads items in their order, some ahead of the one that is asked for, so that a slow disk is kept busy while images
 * are decoded. One item may be larger than the limit of bytes; it is then read alone.
 */
export async function* readAhead<Item, Result>(
  items: Iterable<Item>,
  limits: AheadLimits,
  bytesOf: (item: Item) => number,
  read: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const running: { result: Promise<Result>; bytes: number }[] = [];
  let bytesAhead = 0;
  const next = (): Promise<Result> => {
    const { result, bytes } = running.shift() as (typeof running)[number];
    bytesAhead -= bytes;
    return result;
  };
  try {
    for (const item of items) {
      const bytes = bytesOf(item);
      while (running.length > 0 && (running.length >= limits.items || bytesAhead + bytes > limits.bytes)) {
        yield await next();
      }
      const result = read(item);
      // It may fail before it is asked for.
      result.catch(() => {});
      running.push({ result, bytes });
      bytesAhead += bytes;
    }
    while (running.length > 0) yield await next();
  } finally {
    await Promise.allSettled(running.map(({ result }) => result));
  }
}
