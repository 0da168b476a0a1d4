/** Leaving at once, for who asks a second time. */
import { constants } from 'node:os';

let exit: ((status: number) => void) | undefined;

/** How the process is ended, which is bin/'s to say. */
export function setExit(end: ((status: number) => void) | undefined): void {
  exit = end;
}

/**
 * From now on each of these signals, which nobody listens to any more, ends the process at once. The kernel does that by
 * itself, and to a busy process too, but not to the first process of a container: that one exits with 128 + n.
 */
export function leaveOn(signals: readonly NodeJS.Signals[]): void {
  if (process.pid !== 1) return;
  for (const name of signals) process.once(name, () => exit?.(128 + constants.signals[name]));
}
