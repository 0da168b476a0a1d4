/** What the commands that work with a trained network have in common. */
import type { Options } from 'yargs';
import type { DamagedCheckpoint } from '../checkpoint/checkpoint.js';
import { MOST_THREADS } from '../config/schema.js';
import { PRECISIONS } from '../generation/checks.js';
import { San } from '../generation/san.js';
import type { MeasureControl } from '../metrics/blocks.js';
import type { InferencePrecision } from '../native.js';
import { requireWhole } from '../options.js';
import { toNumber } from './flags.js';
import { longWork } from './long-work.js';
import { warnDamaged, warnLibtorch } from './warn.js';

export interface SanArguments {
  run: string;
  threads: unknown;
  precision: InferencePrecision;
  device: string;
  json: boolean;
  quiet: boolean;
}

export const runPositional = {
  type: 'string',
  demandOption: true,
  describe: 'Run folder or checkpoint file',
} as const;

export const dataPositional = {
  type: 'string',
  demandOption: true,
  describe: 'Images: anything that train takes',
} as const;

export const sanFlags = {
  threads: { requiresArg: true, defaultDescription: 'physical cores', describe: 'CPU threads' },
  precision: {
    choices: PRECISIONS,
    default: 'fp32',
    describe: 'What convolutions multiply; bf16 is faster where the CPU has it, its images differ a little',
  },
  device: {
    type: 'string',
    requiresArg: true,
    default: 'auto',
    describe: 'auto, cpu, cuda, or one such as cuda:1',
  },
  json: { type: 'boolean', default: false, describe: 'One JSON object on stdout' },
  quiet: { type: 'boolean', default: false, describe: 'No progress and no warnings' },
} as const satisfies Record<string, Options>;

export const outFlag = (describe: string) =>
  ({ alias: 'o', type: 'string', requiresArg: true, demandOption: true, describe }) as const;

/** A flag whose value is a whole number; `text` is its default. */
export const countFlag = (text: string, describe: string) =>
  ({ requiresArg: true, defaultDescription: text, describe }) as const satisfies Options;

/** Which network a command has worked with. */
interface Origin {
  checkpoint: string;
  step: number;
  damaged: readonly DamagedCheckpoint[];
}

/**
 * Loads the network, and frees it after `work`, which a signal ends in good order. Gives what `work` does, and where the
 * network came from.
 */
export function withSan<T extends object>(
  {
    run,
    threads,
    precision,
    device,
    quiet,
  }: Pick<SanArguments, 'run' | 'threads' | 'precision' | 'device' | 'quiet'>,
  work: (san: San, control: MeasureControl) => Promise<T>,
): Promise<T & Origin> {
  const count = threads === undefined ? undefined : wholeNumber('threads', threads, 1, MOST_THREADS);
  return longWork(quiet, async (control) => {
    const san = await San.load(run, { precision, device, ...(count !== undefined && { threads: count }) });
    try {
      if (!quiet) warnDamaged(san.damaged);
      const result = await work(san, control);
      if (!quiet) warnLibtorch(san.warnings());
      return { ...result, checkpoint: san.path, step: san.step, damaged: san.damaged };
    } finally {
      await san.dispose();
    }
  });
}

/** The flag's whole number; throws ERR_SAN_OPTIONS naming the flag. */
export function wholeNumber(flag: string, given: unknown, least: number, most?: number): number {
  const value = toNumber(String(given));
  requireWhole(`--${flag}`, value, least, most);
  return value;
}

/** Those of `flags` that were given, as whole numbers under their API names. */
export function wholeNumbers<K extends string>(
  argv: Readonly<Record<string, unknown>>,
  flags: Readonly<Record<K, readonly [flag: string, least: number, most?: number]>>,
): Partial<Record<K, number>> {
  const given = Object.entries<readonly [string, number, number?]>(flags).flatMap(
    ([key, [flag, ...range]]) =>
      argv[flag] === undefined ? [] : [[key, wholeNumber(flag, argv[flag], ...range)]],
  );
  return Object.fromEntries(given) as Partial<Record<K, number>>;
}
