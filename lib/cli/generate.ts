import { dirname } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { MOST_THREADS } from '../config/schema.js';
import { requireDevice } from '../device.js';
import { CheckpointError, OutputError, UsageError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { requireTruncation } from '../generation/checks.js';
import type { GenerateProgress, GenerateSummary } from '../generation/generate-to.js';
import { encodeGrid } from '../generation/grid.js';
import { type PrecisionError, precisionError } from '../generation/precision-error.js';
import { type GenerateToOptions, San } from '../generation/san.js';
import { Sheet } from '../generation/sheet.js';
import { requireKnownTarget } from '../generation/sinks/open.js';
import type { MeasureControl } from '../metrics/blocks.js';
import { type InferencePrecision, loadAddon } from '../native.js';
import { profile } from '../profiling/profile.js';
import { passMacs } from '../training/cost.js';
import { refuseOverTrainingData } from '../training/recorded-data.js';
import { ExitStatus, READER_GONE } from './exit-status.js';
import { toNumber } from './flags.js';
import { rate } from './format.js';
import { longWork } from './long-work.js';
import { profileText } from './profile-text.js';
import { warnDamaged, warnLibtorch } from './warn.js';
import { sanFlags, wholeNumber } from './with-san.js';

interface GenerateArguments {
  run: string;
  count: unknown;
  seed: unknown;
  'start-index': unknown;
  truncation: unknown;
  'batch-size': unknown;
  out: string | undefined;
  grid: string | undefined;
  threads: unknown;
  precision: InferencePrecision;
  device: string;
  profile: string | undefined;
  json: boolean;
  quiet: boolean;
}

/** Images on a sheet at most: 2,048 pixels a side at 64 pixels an image. */
const SHEET = 1024;

const PHASES: Record<GenerateProgress['phase'], string> = {
  checking: 'looking at the images that are there',
  drawing: 'drawing images',
};

export const generateCommand: CommandModule<object, GenerateArguments> = {
  command: 'generate <run>',
  describe: 'Draw new images with a trained network',
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'Run folder or checkpoint file' })
      .options({
        count: { requiresArg: true, defaultDescription: '64', describe: 'Number of images' },
        seed: { requiresArg: true, defaultDescription: '1', describe: 'One seed, one series of images' },
        'start-index': { requiresArg: true, defaultDescription: '0', describe: 'First image of the series' },
        truncation: {
          requiresArg: true,
          defaultDescription: 'none',
          describe: 'Draw latents from the normal distribution within plus or minus this: less variety',
        },
        'batch-size': {
          requiresArg: true,
          defaultDescription: 'as many as take 0.25 s',
          describe: 'Images drawn at a time; does not change them',
        },
        out: {
          alias: 'o',
          type: 'string',
          requiresArg: true,
          describe: 'Folder for PNG files, a .zip, .tar or .npy file, or - for raw pixels on stdout',
        },
        grid: {
          type: 'string',
          requiresArg: true,
          describe: `PNG file for the images, ${SHEET} at most, on one sheet`,
        },
        threads: sanFlags.threads,
        precision: sanFlags.precision,
        device: sanFlags.device,
        profile: {
          type: 'string',
          requiresArg: true,
          describe: 'File for a Chrome trace; a table of where the time went is printed',
        },
        json: { type: 'boolean', default: false, describe: 'One JSON object on stdout' },
        quiet: { type: 'boolean', default: false, describe: 'Say nothing but errors' },
      })
      .example('$0 generate runs/photos --count 1000 --out drawn', 'A thousand PNG files')
      .example('$0 generate runs/photos --count 1000000 --out drawn.tar', 'A million for WebDataset')
      .example('$0 generate runs/photos --precision bf16 --out drawn.npy', 'Faster, where the CPU can')
      .example('$0 generate runs/photos --seed 7 --truncation 0.7 --grid grid.png', 'One sheet')
      .example('$0 generate runs/photos --count 100 --out - | python3 look.py', 'Pixels into a pipe'),
  handler: run,
};

async function run(argv: ArgumentsCamelCase<GenerateArguments>): Promise<void> {
  const { out, grid, json, quiet } = argv;
  const { threads, ...options } = readOptions(argv);
  await requireTarget(argv, options.count);
  const san = await San.load(argv.run, {
    precision: argv.precision,
    device: argv.device,
    ...(threads !== undefined && { threads }),
  });
  try {
    if (!quiet) warnDamaged(san.damaged);
    if (grid !== undefined) {
      await refuseOverTrainingData(grid, san.path, 'grid');
      await ensureFolder(dirname(grid));
    }
    const work = () => longWork(quiet, (control) => draw(san, options, { out, grid }, control));
    const { result: summary, profile: recorded } =
      argv.profile === undefined
        ? { result: await work(), profile: undefined }
        : await profile({ path: argv.profile, ...where(argv), threads, ...measured(san, options) }, work);
    if (!quiet) warnLibtorch(san.warnings());
    const lost =
      argv.precision === 'fp32' || (quiet && !json) ? undefined : await lostBy(san, options, argv.device);
    if (json) {
      const { truncation = null, ...rest } = options;
      const told = {
        ...{ ...rest, truncation, ...summary, out, grid },
        ...{ checkpoint: san.path, step: san.step, damaged: san.damaged },
      };
      Object.assign(told, lost && { precisionError: isKnown(lost) ? lost.levels : null });
      process.stdout.write(`${JSON.stringify(told)}\n`);
    } else if (!quiet) {
      const stream = out === '-' ? process.stderr : process.stdout;
      stream.write(`${summaryText(summary, options, san.path, [out, grid])}\n`);
      if (lost) stream.write(`${lostText(lost, argv.precision)}\n`);
      if (recorded) stream.write(`${profileText(recorded)}\n`);
    }
  } catch (error) {
    if (error instanceof ExitStatus && !quiet && out !== undefined && out !== '-') {
      process.stderr.write(`stopped; the same command draws the rest into ${out}\n`);
    }
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    if (out === '-' && error instanceof OutputError && code === 'EPIPE') throw new ExitStatus(READER_GONE);
    throw error;
  } finally {
    await san.dispose();
  }
}

/**
 * What the precision costs; or why that is not known, where a run that still trains has removed the checkpoint meanwhile:
 * the images are there all the same.
 */
async function lostBy(
  san: San,
  { seed, startIndex, count, truncation }: CommandOptions,
  device: string,
): Promise<Lost> {
  try {
    return await precisionError(san, { seed, startIndex, count, truncation, device });
  } catch (error) {
    if (error instanceof CheckpointError) return { reason: error.message };
    throw error;
  }
}

type Lost = PrecisionError | { reason: string };

const isKnown = (lost: Lost): lost is PrecisionError => 'levels' in lost;

/** What the peak beside a profile is measured on. */
const where = ({ device, precision }: Pick<GenerateArguments, 'device' | 'precision'>) => ({
  device: requireDevice(device, loadAddon().info().cuda),
  precision,
});

/** What a profile of the images is called, and what they take; those that are there already are not drawn. */
const measured = ({ config }: San, { count, seed }: CommandOptions) => ({
  what: `${count} images of seed ${seed}`,
  flops: ({ drawn }: GenerateSummary) => 2 * drawn * passMacs(config),
});

type Control = MeasureControl & { signal: AbortSignal };

/** Writes images and sheet, whichever are wanted. */
async function draw(
  san: San,
  options: CommandOptions,
  { out, grid }: Pick<GenerateArguments, 'out' | 'grid'>,
  { signal, onProgress }: Control,
): Promise<GenerateSummary> {
  const sheet = new Sheet(grid === undefined ? 0 : Math.min(SHEET, options.count));
  const summary =
    out === undefined
      ? await drawSheet(san, options, sheet, { signal, onProgress })
      : await san.generateTo(out === '-' ? process.stdout : out, options, {
          signal,
          onProgress: ({ phase, done, total }) => onProgress?.(PHASES[phase], done, total),
          onImages: (images) => sheet.add(images, images.startIndex - options.startIndex),
        });
  if (grid !== undefined) {
    // Images that were there before have not come by.
    const { batchSize: _, ...set } = options;
    const images = sheet.whole() ?? (await san.generate({ ...set, count: sheet.count, signal }));
    await writeFileAtomic(grid, [await encodeGrid(images)]);
  }
  return summary;
}

interface CommandOptions extends GenerateToOptions {
  startIndex: number;
}

function readOptions(
  argv: ArgumentsCamelCase<GenerateArguments>,
): CommandOptions & { threads: number | undefined } {
  const whole = (flag: keyof GenerateArguments, least: number, most?: number) =>
    argv[flag] === undefined ? undefined : wholeNumber(flag, argv[flag], least, most);
  const truncation = argv.truncation === undefined ? undefined : toNumber(String(argv.truncation));
  requireTruncation(truncation, '--truncation');
  return {
    count: whole('count', 1) ?? 64,
    seed: whole('seed', 0) ?? 1,
    startIndex: whole('start-index', 0) ?? 0,
    truncation,
    batchSize: whole('batch-size', 1),
    threads: whole('threads', 1, MOST_THREADS),
  };
}

/** Refuses what cannot be before anything is loaded. */
async function requireTarget({ out, grid, json }: GenerateArguments, count: number): Promise<void> {
  if (out === undefined && grid === undefined) {
    throw new UsageError(
      'name a folder or a .zip, .tar or .npy file for the images with --out, a sheet with --grid FILE.png, or both',
    );
  }
  if (grid !== undefined && !/\.png$/i.test(grid)) {
    throw new UsageError(`--grid ${grid}: the sheet is a PNG file; give it a name that ends in .png`);
  }
  if (out === undefined && count > SHEET) {
    throw new UsageError(
      `--count ${count}: a sheet holds ${SHEET} images at most; write more to a place named with --out`,
    );
  }
  if (out === '-' && json)
    throw new UsageError('--json and --out - would both write to stdout; leave one out');
  if (out === '-' && process.stdout.isTTY) {
    throw new UsageError('--out -: raw pixels are not for a terminal; send them into a pipe or a file');
  }
  if (out !== undefined && out !== '-') await requireKnownTarget(out);
}

async function drawSheet(
  san: San,
  options: CommandOptions,
  sheet: Sheet,
  { signal, onProgress }: Control,
): Promise<GenerateSummary> {
  const { count, startIndex } = options;
  const begun = performance.now();
  for await (const images of san.stream({ ...options, signal })) {
    const position = images.startIndex - startIndex;
    sheet.add(images, position);
    onProgress?.(PHASES.drawing, position + images.shape[0], count);
  }
  return { count, drawn: count, kept: 0, seconds: (performance.now() - begun) / 1000 };
}

function summaryText(
  { count, drawn, kept, seconds }: GenerateSummary,
  { seed }: GenerateToOptions,
  checkpoint: string,
  targets: (string | undefined)[],
): string {
  const places = targets.flatMap((place) => (place === undefined ? [] : [place === '-' ? 'stdout' : place]));
  const origin = `of seed ${seed} from ${checkpoint} in ${places.join(' and ')}`;
  if (drawn === 0) return `all ${count} images ${origin} were there already; nothing was drawn`;
  const before = kept > 0 ? `; ${kept} were there already` : '';
  const speed = seconds > 1 ? `; ${rate(drawn / seconds)} images/s` : '';
  return `${count} images ${origin}${before}${speed}`;
}

const lostText = (lost: Lost, precision: string): string =>
  isKnown(lost)
    ? `${precision}: the first ${lost.images} are ${lost.levels.toFixed(2)} of 255 levels from those in fp32 on average`
    : `${precision}: how far they are from those in fp32 is not known: ${lost.reason}`;
