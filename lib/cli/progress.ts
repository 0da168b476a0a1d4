import { createLogUpdate } from 'log-update';
import { LOSS_NAMES, type Losses } from '../native.js';
import { duration } from '../setup/progress.js';
import type { BeginTick, EndTick, StepsTick, Tick } from '../training/ticks.js';

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
/** Between the parts of a line. */
const SPACE = '  ';
/** Skipped files that are named on the terminal. */
const SHOWN_SKIPPED = 3;

/** Progress goes to stderr, what the run left behind to stdout; with `json` every tick goes to stdout and no text. */
export function createReporter({ json, quiet }: { json: boolean; quiet: boolean }): Reporter {
  if (json) {
    return { tick: (tick) => print(process.stdout, JSON.stringify(tick)), note: () => {}, close: () => {} };
  }
  if (quiet) return { tick: () => {}, note: () => {}, close: () => {} };
  return new TextReporter(process.stderr.isTTY ? liveLine(process.stderr) : plainLines(process.stderr));
}

/** Where the progress line goes. */
interface Progress {
  /** Parts of the line; each has a row of its own where rows are narrow. */
  show(...parts: string[]): void;
  /** A line that stays. */
  say(text: string): void;
  close(): void;
}

class TextReporter implements Reporter {
  private readonly progress: Progress;

  constructor(progress: Progress) {
    this.progress = progress;
  }

  tick(tick: Tick): void {
    if (tick.type === 'load') {
      if (tick.total > 0) this.progress.show(`reading images  ${tick.done}/${tick.total}`);
    } else if (tick.type === 'note') {
      this.progress.say(tick.level === 'warning' ? `warning: ${tick.message}` : tick.message);
    } else if (tick.type === 'begin') {
      for (const line of beginLines(tick)) this.progress.say(line);
    } else if (tick.type === 'steps') {
      const parts = stepsParts(tick);
      if (tick.step === tick.steps) this.progress.say(parts.join(SPACE));
      else this.progress.show(...parts);
    } else {
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
    show: (...parts) => update(parts.join('\n')),
    say: (text) => {
      update.clear();
      print(stream, text);
    },
    close: () => update.clear(),
  };
}

function plainLines(stream: NodeJS.WriteStream): Progress {
  let last = Number.NEGATIVE_INFINITY;
  return {
    show: (...parts) => {
      const now = performance.now();
      if (now - last < PLAIN_INTERVAL) return;
      last = now;
      print(stream, parts.join(SPACE));
    },
    say: (text) => {
      last = performance.now();
      print(stream, text);
    },
    close: () => {},
  };
}

function beginLines({ images, skipped, step, steps, checkpoint }: BeginTick): string[] {
  const lines = [`training on ${images} images for ${steps} steps`];
  if (checkpoint !== undefined) lines.push(`continuing from step ${step}, ${checkpoint}`);
  if (skipped.length > 0) {
    lines.push(`skipped ${skipped.length} files, listed with reasons in the run folder's skipped.jsonl:`);
    lines.push(...skipped.slice(0, SHOWN_SKIPPED).map(({ path, reason }) => `  ${path}: ${reason}`));
    if (skipped.length > SHOWN_SKIPPED) lines.push('  ...');
  }
  return lines;
}

function stepsParts(tick: StepsTick): string[] {
  const { step, steps, imagesPerSecond, secondsLeft, losses } = tick;
  const rate = imagesPerSecond.toFixed(imagesPerSecond < 10 ? 1 : 0);
  const state = [`step ${step}/${steps}`, `${rate} images/s`];
  if (step < steps) state.push(`${duration(secondsLeft)} left`);
  return [state.join(SPACE), lossText(losses)];
}

/** Every loss; the gradient penalty only in runs that have one. */
const lossText = (losses: Losses): string =>
  LOSS_NAMES.filter((name) => name !== 'gp' || losses.gp !== 0)
    .map((name) => `${name} ${losses[name].toPrecision(3)}`)
    .join(SPACE);

function endLines({ stopped, step, seconds, checkpoint, samples, lossCurve }: EndTick): string[] {
  const files = { checkpoint, samples, 'loss curve': lossCurve };
  return [
    `${stopped} after ${step} steps, ${duration(seconds)}`,
    ...Object.entries(files).flatMap(([name, path]) =>
      path === undefined ? [] : [`${name.padEnd(12)}${path}`],
    ),
  ];
}

const print = (stream: NodeJS.WriteStream, line: string): void => {
  stream.write(`${line}\n`);
};
