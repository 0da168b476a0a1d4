import { describe, expect, it } from 'vitest';
import { ExitStatus } from '../../../lib/cli/exit-status.js';
import { longWork, Pace } from '../../../lib/cli/long-work.js';

describe('Pace', () => {
  it('tells rate and time left once there is one, anew for each kind of work', () => {
    let now = 0;
    const pace = new Pace(() => now);
    expect(pace.text('reading', 0, 100)).toBe('reading  0/100');
    now = 200;
    expect(pace.text('reading', 10, 100)).toBe('reading  10/100');
    now = 2000;
    expect(pace.text('reading', 20, 100)).toBe('reading  20/100  10/s  8.0 s left');
    expect(pace.text('computing', 0, 1)).toBe('computing');
    now = 3000;
    expect(pace.text('reading', 50, 100)).toBe('reading  50/100');
    expect(pace.text('unpacking', 0, 0)).toBe('unpacking');
    now = 5000;
    expect(pace.text('unpacking', 40, 0)).toBe('unpacking  40  20/s');
  });
});

describe('longWork', () => {
  it('gives the result, and passes errors on', async () => {
    expect(await longWork(true, async () => 5)).toBe(5);
    const fault = new Error('x');
    await expect(longWork(true, () => Promise.reject(fault))).rejects.toBe(fault);
  });

  it('ends with 130 after SIGINT, and leaves no listener', async () => {
    const before = process.listenerCount('SIGINT');
    const work = longWork(true, async ({ signal }) => {
      process.emit('SIGINT', 'SIGINT');
      signal.throwIfAborted();
    });
    await expect(work).rejects.toEqual(new ExitStatus(130));
    expect(process.listenerCount('SIGINT')).toBe(before);
  });

  it('takes two signals at once for one wish, and leaves any later one to the kernel', async () => {
    const listeners = () => process.listenerCount('SIGINT') + process.listenerCount('SIGTERM');
    const before = listeners();
    const work = longWork(true, async ({ signal }) => {
      process.emit('SIGINT', 'SIGINT');
      // As npm passes a Ctrl-C on.
      expect(listeners()).toBe(before + 2);
      process.emit('SIGINT', 'SIGINT');
      process.emit('SIGTERM', 'SIGTERM');
      await expect.poll(listeners, { timeout: 10_000 }).toBe(before);
      signal.throwIfAborted();
    });
    await expect(work).rejects.toEqual(new ExitStatus(130));
  });
});
