/**
 * How well a run's score separates images like its training images from foreign ones, and how even its interpolations
 * are: node dist/test/acceptance/reverser.js RUN NORMAL FOREIGN. Exit status 1 when the AUROC is not above 0.9.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { interpolateImages, San, scoreImages } from '../../lib/index.js';

const NEEDED = 0.9;
const PAIRS = 20;
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
  const ratios: number[] = [];
  for (let i = 0; i < PAIRS; i++) {
    const [from, to] = [0, 1].map((k) => ({ seed: 1, index: 2 * i + k })) as [
      { seed: number; index: number },
      { seed: number; index: number },
    ];
    const out = join(folder, 'strip.png');
    const { meanChange, largestChange } = await interpolateImages(san, { from, to, frames: 48, out });
    ratios.push(largestChange / meanChange);
  }
  ratios.sort((a, b) => a - b);
  const [median, largest] = [ratios[PAIRS / 2], ratios[PAIRS - 1]];
  console.log(
    `largest step over the mean of ${PAIRS} ways of 48 frames: median ${median?.toFixed(2)}, largest ${largest?.toFixed(2)}`,
  );
  if (!((areas[0] as number) > NEEDED)) process.exitCode = 1;
} finally {
  await san.dispose();
  await rm(folder, { recursive: true, force: true });
}
