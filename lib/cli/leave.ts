/** Ending on a signal: in good order on the first one, at once on the second. */
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Signals within so many milliseconds of the first are the same wish. */
const SAME_SIGNAL = 300;

let exit: ((status: number) => void) | undefined;

/** How the process is ended, which is bin/'s to say. */
export function setExit(end: ((status: number) => void) | undefined): void {
  exit = end;
}

/**
 * Tells `end` the first signal that asks this process to end. With the listeners gone, a second one ends it at once.
 * @returns what takes the listeners away, for when there is nothing to end in order any more
 */
export function onFirstSignal(end: (name: NodeJS.Signals) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const release = () => {
    clearTimeout(timer);
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  function onSignal(name: NodeJS.Signals): void {
    if (timer !== undefined) return;
    // Not before: npm passes on a Ctrl-C that the terminal has sent us as well.
    timer = setTimeout(() => {
      release();
      leaveOn(SIGNALS);
    }, SAME_SIGNAL).unref();
    end(name);
  }
  for (const name of SIGNALS) process.on(name, onSignal);
  return release;
}

/** As a shell tells of a program that a signal ended. */
export const statusOf = (name: NodeJS.Signals): number => 128 + constants.signals[name];

/**
 * From now on each of these signals, which nobody listens to any more, ends the process at once. The kernel does that by
 * itself, and to a busy process too, but not to the first process of a container: that one exits with 128 + n.
 */
export function leaveOn(signals: readonly NodeJS.Signals[]): void {
  if (process.pid !== 1) return;
  for (const name of signals) process.once(name, () => exit?.(statusOf(name)));
}
