import yargs, { type Argv } from 'yargs';
import { suggestion } from '../config/nearest.js';
import { SanError, UsageError } from '../errors.js';
import { cacheCommand } from './cache.js';
import { dataCommand } from './data.js';
import { evaluateCommand } from './evaluate.js';
import { ExitStatus } from './exit-status.js';
import { exportCommand } from './export.js';
import { generateCommand } from './generate.js';
import { inspectCommand } from './inspect.js';
import { interpolateCommand } from './interpolate.js';
import { neighborsCommand } from './neighbors.js';
import { prepareCommand } from './prepare.js';
import { reconstructCommand } from './reconstruct.js';
import { reverseCommand } from './reverse.js';
import { schemaCommand } from './schema.js';
import { scoreCommand } from './score.js';
import { setupCommand } from './setup.js';
import { trainCommand } from './train.js';

const COMMANDS = {
  train: trainCommand,
  generate: generateCommand,
  evaluate: evaluateCommand,
  reverse: reverseCommand,
  reconstruct: reconstructCommand,
  interpolate: interpolateCommand,
  score: scoreCommand,
  neighbors: neighborsCommand,
  export: exportCommand,
  inspect: inspectCommand,
  data: dataCommand,
  prepare: prepareCommand,
  cache: cacheCommand,
  setup: setupCommand,
  schema: schemaCommand,
};
const NAMES = Object.keys(COMMANDS);

/**
 * Runs one command line, without the program's name, and gives its exit status: 0; 1 for an error, told in one line
 * on stderr; 2 for a wrong command line; 128 + n after signal n. Set SAN_NATIVE_DEBUG=1 to see stacks.
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    await parser(argv).parseAsync(withHelp(argv));
    return 0;
  } catch (error) {
    return error instanceof ExitStatus ? error.status : report(error);
  }
}

/** Nothing asks for help, and so does --help-all, which only says how much of it. */
const withHelp = (argv: readonly string[]): readonly string[] =>
  argv.length === 0 || argv.includes('--help-all') ? [...argv, '--help'] : argv;

function parser(argv: readonly string[]): Argv {
  const instance = yargs();
  return instance
    .scriptName('san-native')
    .usage('$0 <command>\n\nTrains self-adversarial networks on images and draws new images with them.')
    .command(COMMANDS.train)
    .command(COMMANDS.generate)
    .command(COMMANDS.evaluate)
    .command(COMMANDS.reverse)
    .command(COMMANDS.reconstruct)
    .command(COMMANDS.interpolate)
    .command(COMMANDS.score)
    .command(COMMANDS.neighbors)
    .command(COMMANDS.export)
    .command(COMMANDS.inspect)
    .command(COMMANDS.data)
    .command(COMMANDS.prepare)
    .command(COMMANDS.cache)
    .command(COMMANDS.setup)
    .command(COMMANDS.schema)
    .example('$0 train photos --out runs/photos', 'Train on a folder of images')
    .example('$0 generate runs/photos --grid grid.png', 'Draw 64 new images on one sheet')
    .example('$0 evaluate runs/photos photos', 'Measure how good they are')
    .demandCommand(1, `a command is missing: ${NAMES.join(', ')}`)
    .strict()
    .strictCommands()
    .detectLocale(false)
    .parserConfiguration({
      'boolean-negation': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .alias('help', 'h')
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      // yargs' own complaints come either way; anything else is a command's error.
      if (error && error.name !== 'YError') throw error;
      throw new UsageError(explain(error?.message ?? message, argv, instance));
    });
}

/** Says what yargs found wrong in the user's terms, with the nearest name for an unknown one. */
function explain(message: string, argv: readonly string[], instance: Argv): string {
  const command = COMMANDS[argv[0] as keyof typeof COMMANDS]?.command;
  const [, kind, list = ''] = /^([\w -]+): (.*)$/.exec(message) ?? [];
  const name = list.split(', ')[0] ?? '';
  switch (kind) {
    case 'Unknown command':
    case 'Unknown commands':
      return command ? `unexpected argument ${name}` : `unknown command ${name}${suggestion(name, NAMES)}`;
    case 'Unknown argument':
    case 'Unknown arguments': {
      const flag = argv.find((word) => word.startsWith('-') && word.replace(/^-+|=.*$/g, '') === name);
      const hyphens = flag?.startsWith('--') ? '--' : '-';
      return `unknown flag ${hyphens}${name}${suggestion(name, flagsOf(instance))}`;
    }
    case 'Missing required argument':
    case 'Missing required arguments':
      return `the flag --${name} is missing`;
    case 'Not enough arguments following':
      return `the flag --${name} needs a value`;
    case 'Not enough non-option arguments':
      return `an argument is missing: san-native ${command}`;
    default:
      return message;
  }
}

/** Long flags of the command that was being parsed; @types/yargs leaves getOptions out. */
function flagsOf(instance: Argv): string[] {
  const { key } = (instance as unknown as { getOptions(): { key: Record<string, unknown> } }).getOptions();
  return Object.keys(key).flatMap((name) => (name.length > 1 ? [`--${name}`] : []));
}

/** One line on stderr. An error that nobody foresaw is a fault of ours: say how to see its stack. */
function report(error: unknown): number {
  const expected = error instanceof SanError;
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
  const debug = process.env.SAN_NATIVE_DEBUG === '1';
  const hint = expected || debug ? '' : ' (unexpected; SAN_NATIVE_DEBUG=1 shows where)';
  process.stderr.write(`error ${expected ? `${error.code}: ` : ''}${message}${hint}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return error instanceof UsageError ? 2 : 1;
}
