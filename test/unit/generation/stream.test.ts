import { describe, expect, it } from 'vitest';
import { type Drawer, drawRanges } from '../../../lib/generation/stream.js';
import { drawer, pixels } from './support.js';

const endless = [{ start: 0, count: Number.MAX_SAFE_INTEGER }];

describe('drawRanges', () => {
  it('gives every image of all ranges once, in order, whatever the batch size', async () => {
    const ranges = [
      { start: 3, count: 40 },
      { start: 100, count: 1 },
      { start: 2 ** 40, count: 17 },
    ];
    const expected = ranges.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i));
    for (const batchSize of [undefined, 1, 7, 16, 1000]) {
      const indices: number[] = [];
      for await (const { data, shape, startIndex } of drawRanges(drawer().drawer, ranges, {
        seed: 2,
        batchSize,
      })) {
        for (let i = 0; i < shape[0]; i++) {
          indices.push(startIndex + i);
          expect(data.subarray(i * 75, (i + 1) * 75)).toEqual(pixels(2, startIndex + i, 75));
        }
      }
      expect(indices).toEqual(expected);
    }
  });

  it('is two batches ahead of the consumer, and no more', async () => {
    const { drawer: network, asked } = drawer();
    const batches = drawRanges(network, endless, { seed: 1, batchSize: 4 });
    for (let taken = 1; taken <= 4; taken++) {
      await batches.next();
      await new Promise(setImmediate);
      expect(asked).toHaveLength(taken + 2);
    }
    await batches.return();
    await new Promise(setImmediate);
    expect(asked).toHaveLength(6);
  });

  it('chooses batches of whole blocks that grow while they are quick, up to 16 MiB', async () => {
    const asked: { count: number }[] = [];
    const network: Drawer = {
      generate: async ({ count }) => {
        asked.push({ count });
        return { data: new Uint8Array(count * 512 ** 2), shape: [count, 512, 512, 1] };
      },
    };
    let count = 0;
    for await (const { shape } of drawRanges(network, endless, { seed: 1 })) {
      count += shape[0];
      if (count > 300) break;
    }
    for (const { count } of asked) expect(count % 16).toBe(0);
    expect(asked[0]?.count).toBe(16);
    expect(Math.max(...asked.map(({ count }) => count))).toBeLessThanOrEqual(64);
  });

  it('fills the batches that a GPU computes, once they are that large: 64 images of 128 pixels', async () => {
    const asked: number[] = [];
    const network: Drawer = {
      generate: async ({ count }) => {
        asked.push(count);
        return { data: new Uint8Array(count * 128 ** 2 * 3), shape: [count, 128, 128, 3] };
      },
    };
    let count = 0;
    for await (const { shape } of drawRanges(network, endless, { seed: 1 })) {
      count += shape[0];
      if (count > 1500) break;
    }
    expect(asked.filter((n) => n > 64 && n % 64 !== 0)).toEqual([]);
    expect(Math.max(...asked)).toBe(320);
  });

  it('throws the reason of an abort, before the first batch and between two', async () => {
    const { drawer: network, asked } = drawer();
    const reason = new Error('enough');
    const early = drawRanges(network, endless, { seed: 1, signal: AbortSignal.abort(reason) });
    await expect(early.next()).rejects.toBe(reason);
    expect(asked).toEqual([]);
    const controller = new AbortController();
    const batches = drawRanges(network, endless, { seed: 1, signal: controller.signal });
    await batches.next();
    controller.abort(reason);
    await expect(batches.next()).rejects.toBe(reason);
    expect(await batches.next()).toEqual({ done: true, value: undefined });
  });

  it('passes an error on, and that of a batch nobody waits for is nobody’s', async () => {
    const fault = new Error('fault');
    const { drawer: network } = drawer(5, 3, ({ startIndex }) => {
      if (startIndex >= 4) throw fault;
    });
    const batches = drawRanges(network, endless, { seed: 1, batchSize: 4 });
    await batches.next();
    await expect(batches.next()).rejects.toBe(fault);
  });
});
