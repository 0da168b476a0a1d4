import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { UsageError } from '../errors.js';
import type { Endpoint } from '../reverser/ends.js';
import { interpolateImages, MOST_FRAMES, PACES, type Pace } from '../reverser/interpolate.js';
import { toNumber } from './flags.js';
import { significant } from './format.js';
import { printResult } from './result.js';
import {
  countFlag,
  runPositional,
  type SanArguments,
  sanFlags,
  wholeNumber,
  wholeNumbers,
  withSan,
} from './with-san.js';

interface InterpolateArguments extends SanArguments {
  from: string;
  to: string;
  seed: unknown;
  frames: unknown;
  pace: string;
  out: string | undefined;
  animation: string | undefined;
  'ping-pong': boolean;
  fps: unknown;
}

const END = 'Image file; or the index of a generated image, or SEED:INDEX';

export const interpolateCommand: CommandModule<object, InterpolateArguments> = {
  command: 'interpolate <run> <from> <to>',
  describe: 'Draw the way from one image to another',
  builder: (yargs) =>
    yargs
      .positional('run', runPositional)
      .positional('from', { type: 'string', demandOption: true, describe: END })
      .positional('to', { type: 'string', demandOption: true, describe: END })
      .options({
        seed: countFlag('1', 'Seed of an index without one'),
        frames: countFlag('24', 'Images on the way, both ends included'),
        pace: {
          type: 'string',
          requiresArg: true,
          default: 'even',
          describe: `${PACES.join(' or ')}: equal changes between frames, or equal angles between latents`,
        },
        out: { alias: 'o', type: 'string', requiresArg: true, describe: '.png file: all frames in a row' },
        animation: { type: 'string', requiresArg: true, describe: '.webp file: an endless animation' },
        'ping-pong': { type: 'boolean', default: false, describe: 'The animation goes there and back' },
        fps: countFlag('12', 'Frames a second of the animation'),
        ...sanFlags,
      })
      .example('$0 interpolate runs/photos cat.png dog.png --out way.png', 'Between two pictures')
      .example(
        '$0 interpolate runs/photos 3 2:17 --animation way.webp --ping-pong',
        'Images 3 of seed 1, 17 of seed 2',
      ),
  handler: run,
};

async function run(argv: ArgumentsCamelCase<InterpolateArguments>): Promise<void> {
  const { out, animation } = argv;
  if (out === undefined && animation === undefined) {
    throw new UsageError(
      'name a strip with --out FILE.png, an animation with --animation FILE.webp, or both',
    );
  }
  if (animation === undefined && (argv.fps !== undefined || argv['ping-pong'])) {
    const flag = argv['ping-pong'] ? '--ping-pong' : '--fps';
    throw new UsageError(`${flag} is for an animation; name one with --animation FILE.webp`);
  }
  const seed = wholeNumber('seed', argv.seed ?? 1, 0);
  const options = {
    from: endpoint(argv.from, seed),
    to: endpoint(argv.to, seed),
    pingPong: argv['ping-pong'],
    pace: argv.pace as Pace,
    ...wholeNumbers(argv, { frames: ['frames', 2, MOST_FRAMES] }),
    ...(argv.fps !== undefined && { fps: toNumber(String(argv.fps)) as number }),
    ...(out !== undefined && { out }),
    ...(animation !== undefined && { animation }),
  };
  const result = await withSan(argv, (san, control) => interpolateImages(san, options, control));
  printResult(argv, { ...result, skipped: [] }, ({ frames, meanChange, largestChange }) => {
    const places = [out, animation].filter((place) => place !== undefined).join(' and ');
    const ratio = meanChange === 0 ? 1 : largestChange / meanChange;
    return [`${places}  ${frames} frames, the largest step ${significant(ratio)} times the mean`];
  });
}

/** A file called "3" is "./3". */
function endpoint(text: string, seed: number): Endpoint {
  const [, ownSeed, index] = /^(?:(\d+):)?(\d+)$/.exec(text) ?? [];
  return index === undefined ? text : { seed: Number(ownSeed ?? seed), index: Number(index) };
}
