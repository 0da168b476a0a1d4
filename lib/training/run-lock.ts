/** One run in a folder at a time. */
import { join } from 'node:path';
import { OutputError } from '../errors.js';
import { FileLock, LockHeld } from '../file-lock.js';

const NAME = 'run.lock';

export const RunLock = {
  /**
   * Locks the folder, which must exist. Throws OutputError when another run has it, naming its process, and the
   * signal's reason on an abort.
   */
  async take(folder: string, signal?: AbortSignal): Promise<FileLock> {
    const path = join(folder, NAME);
    return FileLock.take(path, signal).catch((error: unknown) => {
      if (!(error instanceof LockHeld)) throw error;
      const { pid, host } = error.owner;
      throw new OutputError(
        `${folder} is in use by process ${pid} on ${host}, which trains in it; stop that run or choose another folder`,
        { path, field: 'out', value: pid },
      );
    });
  },
};
