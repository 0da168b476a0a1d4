import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { findNeighbors, type Neighborhood } from '../reverser/neighbors.js';
import { significant } from './format.js';
import { printResult } from './result.js';
import { aligned } from './table.js';
import {
  countFlag,
  dataPositional,
  outFlag,
  runPositional,
  type SanArguments,
  sanFlags,
  wholeNumbers,
  withSan,
} from './with-san.js';

interface NeighborsArguments extends SanArguments {
  data: string;
  out: string;
  count: unknown;
  seed: unknown;
  'start-index': unknown;
  neighbors: unknown;
}

export const neighborsCommand: CommandModule<object, NeighborsArguments> = {
  command: 'neighbors <run> <data>',
  describe: 'Find the training images nearest to generated ones: does it copy?',
  builder: (yargs) =>
    yargs
      .positional('run', runPositional)
      .positional('data', { ...dataPositional, describe: 'The training images, or any that train takes' })
      .options({
        out: outFlag('.png file: a generated image in each row, then its neighbours'),
        count: countFlag('8', 'Generated images'),
        seed: countFlag('1', 'Their seed'),
        'start-index': { ...countFlag('0', 'Index of the first'), alias: 'index' },
        neighbors: countFlag('6', 'Training images beside each'),
        ...sanFlags,
      })
      .example('$0 neighbors runs/photos photos --out near.png', 'The first eight of seed 1')
      .example('$0 neighbors runs/photos photos --index 41 --count 1 -o near.png', 'One image'),
  handler: run,
};

async function run(argv: ArgumentsCamelCase<NeighborsArguments>): Promise<void> {
  const { data, out } = argv;
  const numbers = wholeNumbers(argv, {
    count: ['count', 1],
    seed: ['seed', 0],
    startIndex: ['start-index', 0],
    neighbors: ['neighbors', 1],
  });
  const result = await withSan(argv, (san, control) =>
    findNeighbors(san, { data, out, ...numbers }, control),
  );
  printResult(argv, result, lines);
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function lines({ out, samples, real, dataCount }: Neighborhood): string[] {
  const rows = samples.map(({ index, neighbors, latentRank, pixelRank }) => [
    String(index),
    neighbors[0]?.name ?? '',
    significant(neighbors[0]?.latentDistance ?? 0),
    percent(latentRank),
    significant(Math.min(...neighbors.map(({ pixelDistance }) => pixelDistance))),
    percent(pixelRank),
  ]);
  const { latentDistance: latent, pixelDistance: pixel } = real;
  return [
    out,
    ...aligned([['image', 'nearest', 'latent', 'rank', 'pixels', 'rank'], ...rows], 2),
    `among ${real.count} of ${dataCount} real images, to the nearest other: latent ${significant(latent.median)} (1 % below ${significant(latent.percent1)}), pixels ${significant(pixel.median)} (1 % below ${significant(pixel.percent1)})`,
    'rank: share of those that are nearer to another than this is to its nearest; near 0 % for a copy',
  ];
}
