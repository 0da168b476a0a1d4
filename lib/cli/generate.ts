import { dirname, join } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { UsageError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { requireWhole } from '../generation/checks.js';
import { encodeGrid, encodeImage } from '../generation/grid.js';
import { San } from '../generation/san.js';
import type { ImageBatch } from '../native.js';
import { toNumber } from './flags.js';

interface GenerateArguments {
  run: string;
  count: unknown;
  seed: unknown;
  'start-index': unknown;
  out: string | undefined;
  grid: string | undefined;
  threads: unknown;
  quiet: boolean;
}

/** Images drawn and encoded at a time. */
const BATCH = 64;

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
        out: { alias: 'o', type: 'string', requiresArg: true, describe: 'Folder for one PNG per image' },
        grid: { type: 'string', requiresArg: true, describe: 'PNG file for all images on one sheet' },
        threads: { requiresArg: true, defaultDescription: 'all cores', describe: 'CPU threads' },
        quiet: { type: 'boolean', default: false, describe: 'Say nothing but errors' },
      })
      .example('$0 generate runs/photos --count 1000 --out drawn', 'A thousand files')
      .example('$0 generate runs/photos --seed 7 --grid grid.png', 'One sheet'),
  handler: run,
};

async function run(argv: ArgumentsCamelCase<GenerateArguments>): Promise<void> {
  const { out, grid } = argv;
  const count = wholeNumber('count', argv.count ?? 64, 1);
  const seed = wholeNumber('seed', argv.seed ?? 1, 0);
  const startIndex = wholeNumber('start-index', argv['start-index'] ?? 0, 0);
  const threads = argv.threads === undefined ? undefined : wholeNumber('threads', argv.threads, 1);
  if (out === undefined && grid === undefined) {
    throw new UsageError('name a folder for the images with --out, a sheet with --grid FILE.png, or both');
  }
  if (grid !== undefined && !/\.png$/i.test(grid)) {
    throw new UsageError(`--grid ${grid}: the sheet is a PNG file; give it a name that ends in .png`);
  }
  const san = await San.load(argv.run, threads === undefined ? {} : { threads });
  try {
    for (const { reason } of argv.quiet ? [] : san.damaged) {
      process.stderr.write(`warning: passed over a damaged checkpoint: ${reason}\n`);
    }
    if (out !== undefined) await ensureFolder(out);
    if (grid !== undefined) await ensureFolder(dirname(grid));
    const batches: ImageBatch[] = [];
    for (let done = 0; done < count; done += BATCH) {
      const first = startIndex + done;
      const images = await san.generate({ seed, startIndex: first, count: Math.min(BATCH, count - done) });
      if (out !== undefined) await writeImages(out, images, first);
      if (grid !== undefined) batches.push(images);
    }
    if (grid !== undefined) await writeFileAtomic(grid, [await encodeGrid(joined(batches))]);
    if (!argv.quiet) {
      const places = [out, grid].filter((place) => place !== undefined).join(' and ');
      process.stdout.write(`${count} images of seed ${seed} from ${san.path} in ${places}\n`);
    }
  } finally {
    await san.dispose();
  }
}

async function writeImages(folder: string, images: ImageBatch, firstIndex: number): Promise<void> {
  const write = async (_: unknown, i: number) => {
    const name = `${String(firstIndex + i).padStart(6, '0')}.png`;
    await writeFileAtomic(join(folder, name), [await encodeImage(images, i)]);
  };
  await Promise.all(Array.from({ length: images.shape[0] }, write));
}

/** Batches of one image size as one batch. */
function joined(batches: readonly ImageBatch[]): ImageBatch {
  const [, height = 0, width = 0, channels = 0] = batches[0]?.shape ?? [];
  const count = batches.reduce((sum, { shape }) => sum + shape[0], 0);
  const data = new Uint8Array(count * height * width * channels);
  let offset = 0;
  for (const batch of batches) {
    data.set(batch.data, offset);
    offset += batch.data.length;
  }
  return { data, shape: [count, height, width, channels] };
}

function wholeNumber(flag: string, given: unknown, least: number): number {
  const value = toNumber(String(given));
  requireWhole(`--${flag}`, value, least);
  return value;
}
