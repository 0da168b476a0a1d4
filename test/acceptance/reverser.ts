/**
 * How well a run's score separates images like its training images from foreign ones, and how even its interpolations
 * are: node dist/test/acceptance/reverser.js RUN NORMAL FOREIGN. Exit status 1 when the AUROC is not above 0.9.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePng } from '../../lib/generation/sinks/png.js';
import { type Endpoint, interpolateImages, San, scoreImages } from '../../lib/index.js';
import { ImageReader } from '../../lib/reverser/images.js';
import { PACES } from '../../lib/reverser/interpolate.js';

const NEEDED = 0.9;
const PAIRS = 20;
const FRAMES = 24;
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

const [run, normal, foreign] = process.argv.slice(2);
if (run === undefined || normal === undefined || foreign === undefined) throw new Error('RUN NORMAL FOREIGN');
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
  const reader = await ImageReader.open(normal, san.config, {});
  const { images } = await reader.spread(2 * PAIRS);
  const files: string[] = [];
  for (let i = 0; i < images.shape[0]; i++) {
    files.push(join(folder, `${i}.png`));
    await writeFile(files[i] as string, encodePng(images, i));
  }
  const ends: Record<string, Endpoint[]> = {
    real: files,
    generated: Array.from({ length: 2 * PAIRS }, (_, index) => ({ seed: 1, index })),
  };
  for (const [kind, list] of Object.entries(ends)) {
    for (const pace of PACES) {
      const ratios: number[] = [];
      for (let i = 0; i + 1 < list.length; i += 2) {
        const [from, to] = [list[i] as Endpoint, list[i + 1] as Endpoint];
        const way = { from, to, pace, frames: FRAMES, out: join(folder, 'strip.png') };
        const { meanChange, largestChange } = await interpolateImages(san, way);
        ratios.push(largestChange / meanChange);
      }
      ratios.sort((a, b) => a - b);
      const shown = [ratios[Math.floor(ratios.length / 2)], ratios[ratios.length - 1]].map((r) =>
        r?.toFixed(2),
      );
      console.log(
        `largest step over the mean, ${ratios.length} ways between ${kind} images, pace ${pace}: median ${shown[0]}, worst ${shown[1]}`,
      );
    }
  }
  if (!((areas[0] as number) > NEEDED)) process.exitCode = 1;
} finally {
  await san.dispose();
  await rm(folder, { recursive: true, force: true });
}
