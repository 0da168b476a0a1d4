import { spawnSync } from 'node:child_process';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RunLock } from '../../../lib/training/run-lock.js';
import { temporaryFolder } from '../support/temporary.js';

/** A folder whose lock says what `change` makes of ours. */
async function lockedBy(change: (owner: Record<string, unknown>) => object): Promise<string> {
  const folder = await temporaryFolder();
  const lock = await RunLock.take(folder);
  const owner = JSON.parse(await readFile(join(folder, 'run.lock'), 'utf8'));
  await lock.release();
  await writeFile(join(folder, 'run.lock'), JSON.stringify(change(owner)));
  return folder;
}

const exited = () => spawnSync('true').pid;

describe('RunLock', () => {
  it('keeps others out until it is released', async () => {
    const folder = await temporaryFolder();
    const lock = await RunLock.take(folder);
    await expect(RunLock.take(folder)).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringContaining(`is in use by process ${process.pid} on `),
    });
    await lock.release();
    await (await RunLock.take(folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('is given to exactly one of many', async () => {
    const folder = await lockedBy((owner) => ({ ...owner, pid: exited() }));
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => RunLock.take(folder)));
    const taken = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(taken).toHaveLength(1);
    await taken[0]?.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it.each<[string, (owner: Record<string, unknown>) => object]>([
    ['of a process that has ended', (owner) => ({ ...owner, pid: exited() })],
    ['of an earlier process with the same number', (owner) => ({ ...owner, began: '1' })],
    ['without an owner', () => ({})],
    ['of nonsense', () => []],
  ])('%s is taken over at once', async (_, change) => {
    const folder = await lockedBy(change);
    await (await RunLock.take(folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('of another machine holds until it is old', async () => {
    const folder = await lockedBy((owner) => ({ ...owner, pid: 1, place: 'elsewhere', host: 'other' }));
    await expect(RunLock.take(folder)).rejects.toMatchObject({
      message: expect.stringContaining('process 1 on other'),
    });
    const minuteAgo = new Date(Date.now() - 60_000);
    await utimes(join(folder, 'run.lock'), minuteAgo, minuteAgo);
    await (await RunLock.take(folder)).release();
  });

  it('does not remove the lock of who took over', async () => {
    const folder = await temporaryFolder();
    const lock = await RunLock.take(folder);
    await writeFile(join(folder, 'run.lock'), 'another');
    await lock.release();
    expect(await readFile(join(folder, 'run.lock'), 'utf8')).toBe('another');
  });
});
