import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';
import { makeFolders } from '../files.js';

/** A lock whose holder has not refreshed it for this long belongs to a process that was killed. */
const STALE_MS = 20_000;
const RETRY_MS = 300;

/**
 * Runs `work` while holding the lock `name` in `folder`, which is made when missing. Waits as long as another
 * process holds it; `onWait` is called once if there is waiting to do.
 */
export async function withLock<T>(
  folder: string,
  name: string,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  await makeFolders(folder);
  const release = await acquire(path.join(folder, name), onWait);
  try {
    return await work();
  } finally {
    // A lock that went stale, after a sleep of the machine for instance, may have been taken over.
    await release().catch(() => {});
  }
}

async function acquire(file: string, onWait: () => void): Promise<() => Promise<void>> {
  for (let waited = false; ; waited = true) {
    try {
      return await lock(file, {
        lockfilePath: file,
        realpath: false,
        stale: STALE_MS,
        onCompromised: () => {},
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
    }
    if (!waited) onWait();
    await sleep(RETRY_MS);
  }
}
