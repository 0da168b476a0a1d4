import { type DryRun, type DryRunOptions, dryRun } from '../training/dry-run.js';
import { longDuration } from './format.js';
import { createReporter } from './progress.js';
import { warn } from './warn.js';

const HOUR = 3600;
const DAY = 24 * HOUR;
const LABEL = 15;
const NUMBER = 13;

/** Prints what training would take: aligned text, or with `json` one object. Progress goes to stderr. */
export async function printDryRun(
  options: DryRunOptions,
  { json, quiet }: { json: boolean; quiet: boolean },
): Promise<void> {
  const reporter = createReporter({ json: false, quiet: json || quiet });
  const plan = await dryRun(options, {
    onLoad: reporter.tick.bind(reporter),
    onNote: ({ message }) => {
      if (!quiet) warn(message);
    },
  }).finally(() => reporter.close());
  process.stdout.write(json ? `${JSON.stringify(plan, null, 2)}\n` : `${lines(plan).join('\n')}\n`);
}

function lines(plan: DryRun): string[] {
  const { parameters, flops, bytes, memory } = plan;
  const penalty = flops.penalty === 0 ? '' : `, with penalty ${flop(flops.penalty)} more`;
  const skipped = plan.skipped === 0 ? '' : `, ${count(plan.skipped)} files skipped`;
  const begun = plan.from === 0 ? '' : `, after ${count(plan.from)} done`;
  return [
    row('parameters', ['shared', 'generator', 'reverser', 'total']),
    ...[...parameters.parts, parameters.total].map(({ part, shared, generator, reverser, total }) =>
      row(`  ${part}`, [shared, generator, reverser, total].map(count)),
    ),
    '',
    line('step', `${flop(flops.forward)} forward, ${flop(flops.backward)} backward${penalty}`),
    line(
      'state',
      `weights ${size(bytes.weights)}, gradients ${size(bytes.gradients)}, moments ${size(bytes.moments)}, moving average ${size(bytes.average)}`,
    ),
    line('optimizer', `${size(bytes.optimizerTraffic)} read and written a step`),
    line(
      'memory',
      `about ${size(memory.device)} on the device, ${size(memory.host)} on the host; on a CPU the sum, ${size(memory.device + memory.host)}`,
    ),
    line('', `${size(memory.measuredPeak)} at most in the steps measured here`),
    '',
    line('images', `${count(plan.images)}${skipped}`),
    line('batch', `${count(plan.batchSize)} images, ${count(plan.stepsPerEpoch)} steps an epoch`),
    line('run', `${count(plan.steps)} steps${begun}, ${count(Number(plan.epochs.toPrecision(3)))} epochs`),
    line(
      'speed',
      `${plan.imagesPerSecond.toPrecision(3)} images/s, ${plan.secondsPerStep.toPrecision(3)} s a step`,
    ),
    line('time', `${wholeDuration(plan.seconds)}, until ${localTime(plan.end)} if it began now`),
  ];
}

const line = (label: string, text: string): string => `${label.padEnd(LABEL)} ${text}`;

const row = (label: string, cells: readonly string[]): string =>
  label.padEnd(LABEL) + cells.map((cell) => cell.padStart(NUMBER)).join('');

const count = (value: number): string => value.toLocaleString('en-US');

const flop = (value: number): string => `${scaled(value)}FLOP`;
const size = (value: number): string => `${scaled(value)}B`;

/** Three digits and a decimal prefix: "12.3 G". */
function scaled(value: number): string {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];
  let index = 0;
  let rest = value;
  while (rest >= 999.5 && index + 1 < prefixes.length) {
    rest /= 1000;
    index++;
  }
  const digits = rest >= 99.5 || index === 0 ? 0 : rest >= 9.95 ? 1 : 2;
  return `${rest.toFixed(digits)} ${prefixes[index]}`;
}

function wholeDuration(seconds: number): string {
  if (seconds < 2 * DAY) return longDuration(seconds);
  return `${Math.floor(seconds / DAY)} days ${Math.floor((seconds % DAY) / HOUR)} h`;
}

/** "2026-01-31 17:05" in the time zone of this machine; Sweden writes times like that. */
function localTime(iso: string): string {
  return new Date(iso).toLocaleString('sv-SE', { dateStyle: 'short', timeStyle: 'short' });
}
