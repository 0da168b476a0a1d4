/** npm run quality -- GRID: docs/quality.md. */
import { availableParallelism, cpus } from 'node:os';
import { basename, extname, join } from 'node:path';
import yargs from 'yargs';
import { findPeerPython } from '../bench/machine.js';
import { parameterShapes } from '../lib/checkpoint/parameters.js';
import { ExitStatus } from '../lib/cli/exit-status.js';
import { longWork } from '../lib/cli/long-work.js';
import { suggestion } from '../lib/config/nearest.js';
import { modelOptions } from '../lib/config/schema.js';
import { requireDevice } from '../lib/device.js';
import { SanError, UsageError } from '../lib/errors.js';
import { ensureFolder } from '../lib/files.js';
import { type Device, loadAddon } from '../lib/native.js';
import { parametersByPart, sumOfParts } from '../lib/training/cost.js';
import { configOf, type Grid, readGrid, runsOf } from './grid.js';
import { Measure } from './measure.js';
import { type Facts, table, writeReal, writeReport } from './report.js';
import { type RunResult, runOne } from './runs.js';
import { FASHION_FOLDER, openSet } from './sets.js';

/** Real images on their sheet. */
const SHEET = 64;

const parser = yargs(process.argv.slice(2))
  .scriptName('npm run quality --')
  .usage(
    '$0 GRID\n\nTrains and measures what a grid file names, SAN and its peers, run after run; given again it goes on. quality/grids has grids.',
  )
  .options({
    out: {
      type: 'string',
      requiresArg: true,
      defaultDescription: "runs/quality-NAME, NAME being the grid's",
      describe: 'Folder for runs, results.json, table.md, curves and pictures',
    },
    sets: {
      type: 'string',
      requiresArg: true,
      default: 'runs/quality-sets',
      describe: 'Folder for prepared images and the classifier, shared by experiments',
    },
    fashion: {
      type: 'string',
      requiresArg: true,
      default: FASHION_FOLDER,
      describe: "Folder of Fashion-MNIST's files",
    },
    only: { type: 'string', requiresArg: true, describe: 'Contenders to run, with commas between' },
    threads: {
      type: 'number',
      requiresArg: true,
      default: availableParallelism(),
      defaultDescription: 'all cores',
      describe: 'CPU threads of every contender',
    },
    device: {
      type: 'string',
      requiresArg: true,
      default: 'auto',
      describe: "auto, cpu, cuda or cuda:N, for SAN and, if Python's torch has CUDA, for peers",
    },
    json: { type: 'boolean', default: false, describe: 'results.json on stdout in place of the table' },
    quiet: { type: 'boolean', default: false, describe: 'No progress' },
  })
  .example('$0 quality/grids/small.yaml', 'SAN and three peers: two hours, about, on a core')
  .example('$0 quality/grids/small.yaml --only san,dcgan', 'Two of them; the others can follow')
  .strictOptions()
  .detectLocale(false)
  .version(false)
  .alias('help', 'h')
  .wrap(110)
  .exitProcess(false)
  .fail((message, error) => {
    throw error ?? new UsageError(message);
  });

async function run(): Promise<void> {
  const argv = await parser.parseAsync();
  if (argv.help) return;
  const [path, ...more] = argv._.map(String);
  if (path === undefined || more.length > 0)
    throw new UsageError('one grid file is needed, such as quality/grids/small.yaml');
  const { threads, quiet, json } = argv;
  if (!Number.isInteger(threads) || threads < 1)
    throw new UsageError('--threads: a whole number of 1 or more is needed');
  const grid = await readGrid(path);
  const folder = argv.out ?? join('runs', `quality-${basename(path, extname(path))}`);
  const runs = chosenRuns(grid, argv.only);
  const python = findPeerPython();
  const device = requireDevice(argv.device, loadAddon().info().cuda);
  const say = (text: string) => {
    if (!quiet) process.stderr.write(`${text}\n`);
  };
  await ensureFolder(folder);
  const results = await longWork(quiet, async ({ signal, onProgress }) => {
    const show = (text: string) => onProgress?.(text, 0, 1);
    const { samples } = grid;
    const options = { folder: argv.sets, fashion: argv.fashion, samples, python, threads, say, signal };
    const set = await openSet(grid.set, options);
    await writeReal(folder, set, SHEET);
    const measure = await Measure.open(set, { threads, signal });
    try {
      const parameters = parametersOf(grid);
      const done: RunResult[] = [];
      for (const [i, one] of runs.entries()) {
        say(`${i + 1}/${runs.length}  ${one.contender}, seed ${one.seed}`);
        const context = { grid, set, measure, folder, threads, device, python, parameters, signal, show };
        done.push(await runOne(one, context));
        await writeReport(folder, grid, facts(threads, device, set.hash), done);
      }
      return done;
    } finally {
      await measure.dispose();
    }
  });
  if (!json) process.stdout.write(table(results));
  else process.stdout.write(`${JSON.stringify(results.map(({ sample: _, ...rest }) => rest))}\n`);
}

function chosenRuns(grid: Grid, only: string | undefined) {
  const names = Object.keys(grid.contenders);
  const chosen = only?.split(',') ?? names;
  const unknown = chosen.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new UsageError(
      `the grid has no contender ${unknown}, only ${names.join(', ')}${suggestion(unknown, names)}`,
    );
  return runsOf(grid).filter(({ contender }) => chosen.includes(contender));
}

/** Of a SAN with the grid's own settings. */
function parametersOf(grid: Grid): number {
  const config = configOf(grid, {
    contender: '',
    peer: undefined,
    seed: 1,
    images: grid.images,
    settings: grid.settings,
  });
  return sumOfParts(parametersByPart(parameterShapes(modelOptions(config)))).total;
}

function facts(threads: number, device: Device, hash: string): Facts {
  const { libtorch, cuda } = loadAddon().info();
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    threads,
    device: device === 'cpu' ? device : (cuda.devices[Number(device.slice(5))]?.name ?? device),
    libtorch,
    data: hash,
  };
}

try {
  await run();
} catch (error) {
  if (error instanceof ExitStatus) process.exitCode = error.status;
  else {
    const expected = error instanceof SanError;
    process.stderr.write(
      expected ? `error ${error.code}: ${error.message}\n` : `${(error as Error).stack ?? error}\n`,
    );
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
