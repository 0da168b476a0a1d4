/**
 * How well a run's score separates images like its training images from foreign ones, how even its interpolations are,
 * and how much of that is the generator's: node dist/test/acceptance/reverser.js RUN NORMAL FOREIGN [FOLDER]. The folder
 * gets a sheet of reconstructions and the first strips. Exit status 1 when the AUROC is not above 0.9.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeGrid } from '../../lib/generation/grid.js';
import { type LatentBatch, type Pace, reconstructImages, San, scoreImages } from '../../lib/index.js';
import { imagesFrom } from '../../lib/metrics/blocks.js';
import { ImageReader } from '../../lib/reverser/images.js';
import { PACES } from '../../lib/reverser/interpolate.js';
import { pixelErrors } from '../../lib/reverser/pixel-error.js';
import { drawAt, type Ends, evenFractions } from '../../lib/reverser/way.js';

const NEEDED = 0.9;
const PAIRS = 20;
const FRAMES = 24;
const STRIPS = 4;
/** Points of a way that are searched for jumps, and of the gap with the largest. */
const DENSE = 2048;
const CLOSER = 65;
const COLUMNS = ['score', 'pixel_error', 'relative_error', 'latent_norm'];

/** The chance that a foreign image has a larger value than a normal one; ties count half. */
function auroc(normal: readonly number[], foreign: readonly number[]): number {
  const sorted = normal.toSorted((a, b) => a - b);
  const below = (limit: number, orEqual: boolean) => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const value = sorted[middle] as number;
      if (value < limit || (orEqual && value === limit)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const wins = foreign.reduce((sum, value) => sum + (below(value, false) + below(value, true)) / 2, 0);
  return wins / (normal.length * foreign.length);
}

/** The numbers are the last four cells of a line, whatever the name holds. */
async function table(path: string): Promise<number[][]> {
  const lines = (await readFile(path, 'utf8')).trim().split('\n').slice(1);
  return lines.map((line) => line.split(',').slice(-COLUMNS.length).map(Number));
}

const one = ({ data, shape: [count, ...item] }: LatentBatch, i: number): LatentBatch => {
  const size = data.length / count;
  return { data: data.slice(i * size, (i + 1) * size), shape: [1, ...item] };
};

/** Root mean square of pixels from -1 to 1 between images that follow one another. */
async function changesOf(ends: Ends, fractions: number[]): Promise<number[]> {
  const { images } = await drawAt(san, ends, fractions, {});
  const steps = images.shape[0] - 1;
  return Array.from(pixelErrors(imagesFrom(images, 1, steps), imagesFrom(images, 0, steps)), Math.sqrt);
}

/** The largest change of many points on a way, looked into so far that what is left of it is no slope. */
async function largestAtOnce(ends: Ends): Promise<number> {
  const changes = await changesOf(ends, evenFractions(DENSE));
  const start = changes.indexOf(Math.max(...changes)) / (DENSE - 1);
  const inside = evenFractions(CLOSER).map((fraction) => start + fraction / (DENSE - 1));
  return Math.max(...(await changesOf(ends, inside)));
}

const [run, normal, foreign, kept] = process.argv.slice(2);
if (run === undefined || normal === undefined || foreign === undefined)
  throw new Error('RUN NORMAL FOREIGN [FOLDER]');
const folder = await mkdtemp(join(tmpdir(), 'san-native-acceptance-'));
const san = await San.load(run);
try {
  const rows: number[][][] = [];
  for (const [name, data] of Object.entries({ normal, foreign })) {
    const out = join(folder, `${name}.csv`);
    await scoreImages(san, { data, out });
    rows.push(await table(out));
  }
  const column = (set: number, c: number) => (rows[set] as number[][]).map((row) => row[c] as number);
  const areas = COLUMNS.map((_, c) => auroc(column(0, c), column(1, c)));
  for (const [c, name] of COLUMNS.entries()) console.log(`AUROC ${name.padEnd(15)} ${areas[c]?.toFixed(4)}`);
  if (kept !== undefined) {
    const sheet = { data: normal, out: join(kept, 'reconstruct.png'), count: 32 };
    const { meanPixelError } = await reconstructImages(san, sheet);
    console.log(`mean pixel error of ${sheet.count} reconstructions ${meanPixelError.toFixed(4)}`);
  }
  await using reader = await ImageReader.open(normal, san.config, {});
  const { images } = await reader.spread(2 * PAIRS);
  const latents = {
    real: await san.reverse(images),
    generated: await san.latents({ seed: 1, count: 2 * PAIRS }),
  };
  for (const [kind, all] of Object.entries(latents)) {
    const ratios: Record<Pace | 'at once', number[]> = { even: [], angle: [], 'at once': [] };
    for (let i = 0; i < PAIRS; i++) {
      const ends = { from: one(all, 2 * i), to: one(all, 2 * i + 1) };
      const means: number[] = [];
      for (const pace of PACES) {
        const { images, meanChange, largestChange } = await san.interpolate({
          ...ends,
          pace,
          frames: FRAMES,
        });
        ratios[pace].push(largestChange / meanChange);
        means.push(meanChange);
        if (kept !== undefined && pace === 'even' && i < STRIPS) {
          await writeFile(join(kept, `${kind}-${i}.png`), await encodeGrid(images, { columns: FRAMES }));
        }
      }
      ratios['at once'].push((await largestAtOnce(ends)) / (means[PACES.indexOf('even')] as number));
    }
    for (const [name, list] of Object.entries(ratios)) {
      list.sort((a, b) => a - b);
      const shown = [list[Math.floor(list.length / 2)], list[list.length - 1]].map((r) => r?.toFixed(2));
      const what =
        name === 'at once'
          ? 'largest change at once over the mean step'
          : `pace ${name}: largest step over the mean`;
      console.log(`${PAIRS} ways between ${kind} images, ${what}: median ${shown[0]}, worst ${shown[1]}`);
    }
  }
  if (!((areas[0] as number) > NEEDED)) process.exitCode = 1;
} finally {
  await san.dispose();
  await rm(folder, { recursive: true, force: true });
}
