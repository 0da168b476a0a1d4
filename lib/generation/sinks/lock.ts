/** One process at a time writes generated images to a place. */
import { join } from 'node:path';
import { OutputError } from '../../errors.js';
import { FileLock, LockHeld } from '../../file-lock.js';

/**
 * Locks the folder, which must exist. Throws OutputError when another process has it, naming it, and the signal's reason
 * on an abort.
 */
export function lockSink(folder: string, signal?: AbortSignal): Promise<FileLock> {
  const path = join(folder, 'generate.lock');
  return FileLock.take(path, signal).catch((error: unknown) => {
    if (!(error instanceof LockHeld)) throw error;
    const { pid, host } = error.owner;
    throw new OutputError(
      `${folder} is in use by process ${pid} on ${host}, which generates into it; wait for it or choose another place`,
      { path, field: 'out', value: pid },
    );
  });
}
