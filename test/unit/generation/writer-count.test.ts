import { describe, expect, it } from 'vitest';
import { WriterCount } from '../../../lib/generation/sinks/writer-count.js';

/** Batches that take `draw` ms to draw ahead of writing and `work` ms of one thread to write. */
function threadsAfter(batches: number, draw: number, work: number, most: number): number {
  const count = new WriterCount(most);
  let drawn = 0;
  let now = 0;
  for (let i = 0; i < batches; i++) {
    drawn += draw;
    const begin = Math.max(now, drawn);
    now = begin + work / count.threads;
    count.record(begin, now);
  }
  return count.threads;
}

describe('WriterCount', () => {
  it('stays with one thread where that is fast enough', () => {
    expect(threadsAfter(50, 100, 40, 16)).toBe(1);
  });

  it('takes as many threads as keep up, and no more', () => {
    expect(threadsAfter(200, 10, 45, 16)).toBeGreaterThanOrEqual(5);
    expect(threadsAfter(200, 10, 45, 16)).toBeLessThanOrEqual(9);
  });

  it('takes no more than there may be', () => {
    expect(threadsAfter(50, 10, 1000, 4)).toBe(4);
    expect(threadsAfter(50, 10, 1000, 1)).toBe(1);
  });

  it('gives threads back when images come more slowly', () => {
    const count = new WriterCount(8);
    for (let i = 0; i < 7; i++) count.record(i * 10, i * 10 + 10);
    expect(count.threads).toBe(7);
    for (let i = 1; i < 20; i++) count.record(i * 1000, i * 1000 + 10);
    expect(count.threads).toBe(1);
  });
});
