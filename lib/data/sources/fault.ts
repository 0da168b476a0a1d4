/** What is wrong with a source, in words. */
import { DataError, SanError } from '../../errors.js';
import { fileErrorReason } from '../../files.js';

/** A fault of a whole file. The message is shown after the file's path. */
export class Fault extends Error {}

/**
 * Whatever was thrown while `path` was read, as the DataError to throw on: ERR_SAN_DATA_FORMAT. A SanError and the
 * reason of an abort stay what they are.
 */
export function asDataError(path: string, error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof SanError || (signal?.aborted && error === signal.reason)) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  const reason =
    error instanceof Fault
      ? error.message
      : code.startsWith('Z_')
        ? 'its gzip data is damaged or cut short'
        : fileErrorReason(error);
  return new DataError(
    'ERR_SAN_DATA_FORMAT',
    `cannot read images from ${path}: ${reason}`,
    { path },
    { cause: error },
  );
}

/** Runs `work`; what it throws becomes a DataError about `path`. */
export async function explained<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asDataError(path, error, signal);
  }
}
