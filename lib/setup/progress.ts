/** What set-up is doing. A step begins, may tell how far it is, and ends; steps do not overlap. */
export type ProgressEvent =
  | { kind: 'begin'; text: string }
  | { kind: 'detail'; text: string }
  /** Output of a command that failed, to be shown before the error. */
  | { kind: 'output'; lines: string[] }
  | { kind: 'end'; seconds: number };

export type OnProgress = (event: ProgressEvent) => void;

/** Reports `work` as a step. A step that fails gets no end: the error speaks for it. */
export async function step<T>(onProgress: OnProgress, text: string, work: () => Promise<T>): Promise<T> {
  onProgress({ kind: 'begin', text });
  const start = performance.now();
  const result = await work();
  onProgress({ kind: 'end', seconds: (performance.now() - start) / 1000 });
  return result;
}

/** Seconds as "0.4 s", "58 s" or "3 min 05 s". */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/** A line of a log is cut here; a terminal's at its edge. */
const LOG_COLUMNS = 110;

/** Non-terminals get a sign of life this often, so that a log of a long build does not look stuck. */
const LOG_EVERY_SECONDS = 30;

/**
 * Prints steps as one line when they begin and one when they end. A terminal also gets a line of its own, drawn
 * over and over, with the elapsed time and the latest detail. Call `close` when set-up has failed or ended.
 */
export function progressPrinter(stream: NodeJS.WriteStream): { onProgress: OnProgress; close(): void } {
  let detail = '';
  let began = 0;
  let timer: NodeJS.Timeout | undefined;

  const elapsed = () => (performance.now() - began) / 1000;
  const erase = () => {
    if (stream.isTTY) stream.write('\r\x1b[K');
  };
  const draw = () => {
    const line = `  ${[duration(elapsed()), detail].filter(Boolean).join(' · ')}`;
    if (stream.isTTY) stream.write(`\r\x1b[K${line.slice(0, (stream.columns || 80) - 1)}`);
    else stream.write(`${line.slice(0, LOG_COLUMNS)}\n`);
  };
  const close = () => {
    if (timer) erase();
    clearInterval(timer);
    timer = undefined;
  };

  return {
    close,
    onProgress(event) {
      if (event.kind === 'begin') {
        close();
        detail = '';
        began = performance.now();
        stream.write(`${event.text}\n`);
        timer = setInterval(draw, (stream.isTTY ? 1 : LOG_EVERY_SECONDS) * 1000);
        timer.unref();
      } else if (event.kind === 'detail') {
        detail = event.text;
        if (stream.isTTY) draw();
      } else if (event.kind === 'output') {
        close();
        for (const line of event.lines) stream.write(`  ${line}\n`);
      } else {
        close();
        stream.write(`  done in ${duration(event.seconds)}\n`);
      }
    },
  };
}
