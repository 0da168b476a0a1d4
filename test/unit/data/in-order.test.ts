import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inOrder } from '../../../lib/data/in-order.js';

const OPTIONS = { parallel: 3, ahead: 8, sizeOf: () => 1, budget: 100 };
const tick = (times: number) =>
  Array.from({ length: times }).reduce<Promise<void>>(
    (before) => before.then(() => new Promise((resolve) => setImmediate(resolve))),
    Promise.resolve(),
  );

async function* upTo(count: number, onTake = (_: number) => {}) {
  for (let i = 0; i < count; i++) {
    onTake(i);
    yield i;
  }
}

describe('inOrder', () => {
  it('keeps the order and the limits, whatever takes how long', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.nat(5), { maxLength: 40 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 20 }),
      async (times, parallel, ahead, budget) => {
        let running = 0;
        let most = 0;
        let taken = 0;
        let given = 0;
        let mostAhead = 0;
        const items = upTo(times.length, () => {
          taken++;
          mostAhead = Math.max(mostAhead, taken - given);
        });
        const options = { parallel, ahead, sizeOf: () => 5, budget };
        const results: number[] = [];
        for await (const result of inOrder(items, options, async (item) => {
          most = Math.max(most, ++running);
          await tick(times[item] as number);
          running--;
          return item * 2;
        })) {
          given++;
          results.push(result);
        }
        expect(results).toEqual(times.map((_, i) => i * 2));
        expect(most).toBeLessThanOrEqual(parallel);
        // One is being looked at while the others wait.
        expect(mostAhead).toBeLessThanOrEqual(Math.min(ahead, Math.floor(budget / 5) + 1) + 1);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it('ends with the first error, once all that runs has ended', async () => {
    for (const where of ['items', 'work'] as const) {
      let running = 0;
      let begun = 0;
      const fault = new Error('no');
      const items = upTo(100, (i) => {
        if (where === 'items' && i === 5) throw fault;
      });
      const results: number[] = [];
      const all = (async () => {
        for await (const result of inOrder(items, OPTIONS, async (i) => {
          running++;
          begun++;
          await tick(3);
          running--;
          if (where === 'work' && i === 5) throw fault;
          return i;
        })) {
          results.push(result);
        }
      })();
      await expect(all).rejects.toBe(fault);
      expect(results).toEqual([0, 1, 2, 3, 4]);
      expect(running).toBe(0);
      expect(begun).toBeLessThan(20);
    }
  });

  it('lets go of the items when the caller leaves', async () => {
    let closed = false;
    let begun = 0;
    const items = (async function* () {
      try {
        yield* upTo(1000);
      } finally {
        closed = true;
      }
    })();
    for await (const _ of inOrder(items, OPTIONS, async (i) => {
      begun++;
      return i;
    }))
      break;
    expect(closed).toBe(true);
    expect(begun).toBeLessThan(20);
  });
});
