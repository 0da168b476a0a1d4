import yargs, { type Argv } from 'yargs';
import { suggestion } from '../config/nearest.js';
import { OutputError, SanError, UsageError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import { packageVersion } from '../version.js';
import { cacheCommand } from './cache.js';
import { dataCommand } from './data.js';
import { evaluateCommand } from './evaluate.js';
import { ExitStatus, READER_GONE } from './exit-status.js';
import { exportCommand } from './export.js';
import { generateCommand } from './generate.js';
import { inspectCommand } from './inspect.js';
import { interpolateCommand } from './interpolate.js';
import { setExit } from './leave.js';
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
 * @param exit Ends the process at once, for a second signal where the kernel does not
 */
export async function main(
  argv: readonly string[],
  exit?: ((status: number) => void) | undefined,
): Promise<number> {
  setExit(exit);
  try {
    const words = asFlag(argv);
    requireCommand(words);
    await parser(words, await packageVersion()).parseAsync(withHelp(words));
    return 0;
  } catch (error) {
    return error instanceof ExitStatus ? error.status : report(error);
  }
}

type Program = Pick<NodeJS.Process, 'once' | 'exitCode'> & {
  stdout: Pick<NodeJS.WriteStream, 'on'>;
  stderr: Pick<NodeJS.WriteStream, 'on'>;
};

/**
 * Has the program end in order when its own output is closed or full, of which Node would make an uncaught exception:
 * with status 141 and no word once the reader has gone, else with ERR_SAN_OUTPUT. What failed by itself keeps its status.
 */
export function watchOutput(program: Program = process): void {
  let fault: { name: string; cause: NodeJS.ErrnoException } | undefined;
  for (const name of ['stdout', 'stderr'] as const) {
    program[name].on('error', (cause) => {
      fault ??= { name, cause };
    });
  }
  // Not before: a pipe may tell after main() has ended.
  program.once('exit', () => {
    if (fault === undefined || program.exitCode) return;
    const { name, cause } = fault;
    program.exitCode =
      cause.code === 'EPIPE'
        ? READER_GONE
        : report(new OutputError(`cannot write to ${name}: ${fileErrorReason(cause)}`, {}, { cause }));
  });
}

/** `help train` is `train --help`. */
function asFlag([first, ...rest]: readonly string[]): readonly string[] {
  return first === undefined ? [] : first === 'help' ? [...rest, '--help'] : [first, ...rest];
}

/** Throws UsageError for a first word that is no command, whatever flags come after it: yargs would show the help. */
function requireCommand([first = '']: readonly string[]): void {
  if (/^-v$/i.test(first)) throw new UsageError(`unknown flag ${first}; did you mean --version?`);
  if (first.startsWith('-') || first === '' || NAMES.includes(first)) return;
  throw new UsageError(`unknown command ${first}${suggestion(first, NAMES)}`);
}

/** Nothing asks for help, and so does --help-all, which only says how much of it. */
const withHelp = (argv: readonly string[]): readonly string[] =>
  argv.length === 0 || argv.includes('--help-all') ? [...argv, '--help'] : argv;

/** Of itself yargs takes the version of the package that has this one installed. */
function parser(argv: readonly string[], version: string): Argv {
  const instance = yargs();
  return instance
    .scriptName('san-native')
    .version(version)
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
    .check(() => {
      requireBooleans(argv, instance);
      return true;
    })
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
  const choice = wrongChoice(message);
  if (choice !== undefined) return choice;
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
      return `the flag ${name.length > 1 ? '--' : '-'}${name} needs a value`;
    case 'Not enough non-option arguments':
      return `an argument is missing: san-native ${command}`;
    default:
      return message;
  }
}

/** What yargs says in three lines of an argument that is none of its choices. */
function wrongChoice(message: string): string | undefined {
  const [, name = '', value = '', list = ''] =
    /^Invalid values:\s+Argument: (.+?), Given: "(.*?)", Choices: ([^\n]*)/s.exec(message) ?? [];
  if (name === '') return undefined;
  const choices = [...list.matchAll(/"([^"]*)"/g)].map(([, choice = '']) => choice);
  const expected = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
  // A positional argument is known by its place.
  const flag = name === 'action' ? '' : `--${name} `;
  return `${flag}${value}: expected ${expected}${suggestion(value, choices)}`;
}

/** Throws UsageError for --flag=VALUE of a boolean that is neither true nor false; yargs takes any for false. */
function requireBooleans(argv: readonly string[], instance: Argv): void {
  const { boolean, alias } = optionsOf(instance);
  const names = new Set(boolean.flatMap((name) => [name, ...(alias[name] ?? [])]));
  const end = argv.indexOf('--');
  for (const word of end < 0 ? argv : argv.slice(0, end)) {
    const [, hyphens, name = '', value = ''] = /^(--?)([^=]+)=(.*)$/s.exec(word) ?? [];
    // yargs knows --dry-run as --dryRun too.
    const kebab = name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
    if (value === 'true' || value === 'false' || !(names.has(name) || names.has(kebab))) continue;
    const flag = `${hyphens}${name}`;
    throw new UsageError(`${word}: expected ${flag}, ${flag}=true or ${flag}=false`, { field: flag, value });
  }
}

/** Long flags of the command that was being parsed. */
function flagsOf(instance: Argv): string[] {
  const { key } = optionsOf(instance);
  return Object.keys(key).flatMap((name) => (name.length > 1 ? [`--${name}`] : []));
}

interface ParserOptions {
  key: Record<string, unknown>;
  boolean: string[];
  alias: Record<string, string[]>;
}

/** What yargs knows of the command that was being parsed; @types/yargs leaves getOptions out. */
const optionsOf = (instance: Argv): ParserOptions =>
  (instance as unknown as { getOptions(): ParserOptions }).getOptions();

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
