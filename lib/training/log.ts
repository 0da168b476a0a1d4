/** What training has to say apart from its ticks: nothing in this package, its C++ included, prints by itself. */
import type { NoteTick, Tick } from './ticks.js';

export interface LogEvent {
  /** `debug`: a file was written. `info` and `warning`: the notes, and what LibTorch warns of. */
  level: 'debug' | 'info' | 'warning';
  /** One line. */
  message: string;
}

/** Called at once, on the thread that takes the ticks. What it throws ends training and reaches the caller as it is. */
export type Log = (event: LogEvent) => void;

/** LibTorch's own warnings, of StepReport.warnings, as notes. */
export const libtorchNotes = (warnings: readonly string[]): NoteTick[] =>
  warnings.map((text) => ({
    type: 'note',
    level: 'warning',
    message: `LibTorch: ${text.replace(/\s+/g, ' ').trim()}`,
  }));

/** The same ticks, each told to `log` before it is passed on. */
export async function* logged(
  ticks: AsyncGenerator<Tick, void, void>,
  log: Log | undefined,
): AsyncGenerator<Tick, void, void> {
  for await (const tick of ticks) {
    if (log) for (const event of eventsOf(tick)) log(event);
    yield tick;
  }
}

function eventsOf(tick: Tick): LogEvent[] {
  if (tick.type === 'note') return [{ level: tick.level, message: tick.message }];
  if (tick.type === 'load') return [];
  return tick.wrote.map((path) => ({ level: 'debug', message: `wrote ${path}` }));
}
