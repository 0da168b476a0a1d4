import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { leaveOn, setExit } from '../../../lib/cli/leave.js';
import { longWork } from '../../../lib/cli/long-work.js';

const { pid } = process;
const setPid = (value: number) => Object.defineProperty(process, 'pid', { value, configurable: true });

afterEach(() => {
  setPid(pid);
  setExit(undefined);
  process.removeAllListeners('SIGINT');
  process.removeAllListeners('SIGTERM');
});

describe('a second signal', () => {
  it('ends the first process of a container, for which the kernel has no default action', async () => {
    const statuses: number[] = [];
    setExit((status) => statuses.push(status));
    setPid(1);
    const work = longWork(true, async ({ signal }) => {
      process.emit('SIGINT', 'SIGINT');
      process.emit('SIGINT', 'SIGINT');
      expect(statuses).toEqual([]);
      // Later than what npm passes on.
      await delay(500);
      process.emit('SIGINT', 'SIGINT');
      signal.throwIfAborted();
    });
    await expect(work).rejects.toThrow('exit status 130');
    expect(statuses).toEqual([130]);
  });

  it('is left to the kernel elsewhere', () => {
    const before = process.listenerCount('SIGINT');
    leaveOn(['SIGINT']);
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});
