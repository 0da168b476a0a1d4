import { readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileLock, LockHeld } from '../../lib/file-lock.js';
import { temporaryFolder } from './support/temporary.js';

describe('a lock of this very process', () => {
  it('is held while it is renewed', async () => {
    const path = join(await temporaryFolder(), 'run.lock');
    const lock = await FileLock.take(path);
    await expect(FileLock.take(path)).rejects.toBeInstanceOf(LockHeld);
    await lock.release();
    await (await FileLock.take(path)).release();
  });

  it('that a worker thread left behind when it was terminated is taken over once it has not been renewed for long', async () => {
    const path = join(await temporaryFolder(), 'run.lock');
    const first = await FileLock.take(path);
    const old = new Date(Date.now() - 60_000);
    await utimes(path, old, old);
    const second = await FileLock.take(path);
    const content = await readFile(path, 'utf8');
    // Whoever comes late releases nothing but its own.
    await first.release();
    expect(await readFile(path, 'utf8')).toBe(content);
    await second.release();
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('of a process with the same number that began at another time holds nothing', async () => {
    const path = join(await temporaryFolder(), 'run.lock');
    const lock = await FileLock.take(path);
    const content = JSON.parse(await readFile(path, 'utf8'));
    await lock.release();
    await writeFile(path, JSON.stringify({ ...content, began: '1' }));
    await (await FileLock.take(path)).release();
  });
});
