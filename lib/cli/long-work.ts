/** Work of a command that may take a while: progress on the terminal, an orderly end on a signal. */
import type { MeasureControl } from '../metrics/blocks.js';
import { duration } from '../setup/progress.js';
import { ExitStatus } from './exit-status.js';
import { rate } from './format.js';
import { onFirstSignal, statusOf } from './leave.js';
import { statusLine } from './status-line.js';

/** Seconds after which a rate says something. */
const SETTLED = 0.5;

/**
 * Runs `work`, which is told to stop by the first signal; a second one, with no listener left, ends the process at
 * once. Throws ExitStatus 128 + n after signal n. Progress goes to stderr, if that is a terminal.
 */
export async function longWork<T>(
  quiet: boolean,
  work: (control: MeasureControl & { signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const status = quiet ? undefined : statusLine(process.stderr);
  const stop = stopOnSignal();
  const pace = new Pace();
  try {
    const result = await work({
      signal: stop.signal,
      onProgress: (what, done, total) => status?.show(pace.text(what, done, total)),
    });
    stop.signal.throwIfAborted();
    return result;
  } catch (error) {
    throw stop.signal.aborted && error === stop.signal.reason ? new ExitStatus(stop.status) : error;
  } finally {
    status?.close();
    stop.release();
  }
}

/** "reversing 512/60000  830/s  1 min 12 s left", once there is a rate; without the end where `total` is 0, unknown. */
export class Pace {
  private what = '';
  private began = 0;
  private from = 0;
  private readonly now: () => number;

  constructor(now = () => performance.now()) {
    this.now = now;
  }

  text(what: string, done: number, total: number): string {
    if (what !== this.what || done < this.from) {
      this.what = what;
      this.began = this.now();
      this.from = done;
    }
    if (total === 1 || (total === 0 && done === 0)) return what;
    const seconds = (this.now() - this.began) / 1000;
    const head = total === 0 ? `${what}  ${done}` : `${what}  ${done}/${total}`;
    if (seconds < SETTLED || done === this.from) return head;
    const perSecond = (done - this.from) / seconds;
    const left = total === 0 ? '' : `  ${duration((total - done) / perSecond)} left`;
    return `${head}  ${rate(perSecond)}/s${left}`;
  }
}

function stopOnSignal() {
  const controller = new AbortController();
  const stop = { signal: controller.signal, status: 0, release: () => {} };
  stop.release = onFirstSignal((name) => {
    stop.status = statusOf(name);
    controller.abort();
  });
  return stop;
}
