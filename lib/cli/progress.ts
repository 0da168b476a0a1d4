import { createLogUpdate } from 'log-update';
import type { BeginTick, EndTick, StepsTick, Tick } from '../training/ticks.js';
import { longDuration } from './format.js';
import { Pace } from './long-work.js';
import { skippedLines } from './skipped.js';
import { isLive } from './status-line.js';
import { asLine, fitted, type Part, stepsRows } from './steps-text.js';

/** Tells a user how a training run goes on. */
export interface Reporter {
  tick(tick: Tick): void;
  /** A remark in between. */
  note(text: string): void;
  /** Leaves the terminal as it should be. Also after an error. */
  close(): void;
}

/** Milliseconds between two lines when stderr is no terminal. */
const PLAIN_INTERVAL = 10_000;
/** Width of a terminal that does not tell its own. */
const COLUMNS = 80;

const STOPPED: Record<EndTick['stopped'], string> = {
  finished: 'finished',
  aborted: 'aborted',
  images: 'ended at its limit of images (maxImages)',
  time: 'ended at its limit of time (maxMinutes)',
  targets: 'reached its targets',
  plateau: 'ended on a plateau',
};

/** Progress goes to stderr, what the run left behind to stdout; with `json` every tick goes to stdout and no text. */
export function createReporter({ json, quiet }: { json: boolean; quiet: boolean }): Reporter {
  if (json) {
    return { tick: (tick) => print(process.stdout, JSON.stringify(tick)), note: () => {}, close: () => {} };
  }
  if (quiet) return { tick: () => {}, note: () => {}, close: () => {} };
  return new TextReporter(isLive(process.stderr) ? liveLine(process.stderr) : plainLines(process.stderr));
}

/** Where the progress line goes. */
interface Progress {
  /** Drawn over and over in a terminal; elsewhere a line now and then. */
  show(rows: Part[][]): void;
  /** A line that stays. */
  say(text: string): void;
  close(): void;
}

class TextReporter implements Reporter {
  private readonly progress: Progress;
  private readonly pace = new Pace();
  private latest: StepsTick | undefined;

  constructor(progress: Progress) {
    this.progress = progress;
  }

  tick(tick: Tick): void {
    if (tick.type === 'load') {
      if (tick.done > 0) {
        this.progress.show([[{ text: this.pace.text('preparing images', tick.done, tick.total), spare: 0 }]]);
      }
    } else if (tick.type === 'note') {
      this.progress.say(tick.level === 'warning' ? `warning: ${tick.message}` : tick.message);
    } else if (tick.type === 'begin') {
      for (const line of beginLines(tick)) this.progress.say(line);
    } else if (tick.type === 'steps') {
      this.latest = tick;
      this.progress.show(stepsRows(tick));
    } else {
      // The state that training ended in stays, however lately it was shown.
      const { latest } = this;
      if (latest)
        this.progress.say(asLine(stepsRows({ ...latest, metrics: tick.metrics ?? latest.metrics })));
      this.close();
      for (const line of endLines(tick)) print(process.stdout, line);
    }
  }

  note(text: string): void {
    this.progress.say(text);
  }

  close(): void {
    this.progress.close();
  }
}

function liveLine(stream: NodeJS.WriteStream): Progress {
  const update = createLogUpdate(stream, { showCursor: true });
  return {
    show: (rows) => {
      // A terminal breaks the line in its last column.
      const columns = (stream.columns || COLUMNS) - 1;
      update(rows.map((row) => fitted(row, columns)).join('\n'));
    },
    say: (text) => {
      update.clear();
      print(stream, text);
    },
    close: () => update.clear(),
  };
}

function plainLines(stream: NodeJS.WriteStream): Progress {
  let last = Number.NEGATIVE_INFINITY;
  let lastLine = '';
  const write = (line: string) => {
    last = performance.now();
    // The state at the end may have been shown already.
    if (line !== lastLine) print(stream, line);
    lastLine = line;
  };
  return {
    show: (rows) => {
      if (performance.now() - last >= PLAIN_INTERVAL) write(asLine(rows));
    },
    say: write,
    close: () => {},
  };
}

function beginLines({ images, skipped, step, steps, checkpoint }: BeginTick): string[] {
  const lines = [`training on ${images} images for ${steps} steps`];
  if (checkpoint !== undefined) lines.push(`continuing from step ${step}, ${checkpoint}`);
  lines.push(...skippedLines(skipped, "the run folder's skipped.jsonl"));
  return lines;
}

function endLines(tick: EndTick): string[] {
  const { stopped, reason, step, seconds, checkpoint, best, samples, lossCurve, report } = tick;
  const files = { checkpoint, best, samples, 'loss curve': lossCurve, report };
  return [
    `${STOPPED[stopped]} after ${step} steps, ${longDuration(seconds)}`,
    ...(reason === undefined ? [] : [reason]),
    ...Object.entries(files).flatMap(([name, path]) =>
      path === undefined ? [] : [`${name.padEnd(12)}${path}`],
    ),
  ];
}

const print = (stream: NodeJS.WriteStream, line: string): void => {
  stream.write(`${line}\n`);
};
