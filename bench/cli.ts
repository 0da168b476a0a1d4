/** npm run bench [-- CASE...], and bench:gpu: docs/benchmarks.md. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogUpdate } from 'log-update';
import yargs from 'yargs';
import { suggestion } from '../lib/config/nearest.js';
import { UsageError } from '../lib/errors.js';
import { loadAddon } from '../lib/native.js';
import type { Comparison, Table } from './case.js';
import { describeMachine, findPeerPython } from './machine.js';
import { caseNames, loadCase, onGpu, onProcessor } from './registry.js';
import { type ComparisonResult, compare } from './rounds.js';
import { comparisonText, machineText, tableText } from './table.js';

const QUICK = { rounds: 2, seconds: 0 };
const USUAL = { rounds: 9, seconds: 2 };

const GPU_FLAG = '--gpu';
const suite = process.argv.includes(GPU_FLAG) ? onGpu : onProcessor;
const names = await caseNames(suite);

const parser = yargs(process.argv.slice(2).filter((argument) => argument !== GPU_FLAG))
  .scriptName(suite.command)
  .usage('$0 [CASE...]\n\nMeasures san-native beside its peers, in rounds that take turns. Cases:')
  .usage((await Promise.all(names.map(caseLine))).join('\n'))
  .options({
    rounds: {
      type: 'number',
      requiresArg: true,
      defaultDescription: '9',
      describe: 'Rounds of each contender',
    },
    seconds: {
      type: 'number',
      requiresArg: true,
      defaultDescription: '2',
      describe: 'What a round should take',
    },
    sizes: { type: 'string', requiresArg: true, describe: 'Image sizes, with commas between' },
    peers: {
      type: 'string',
      requiresArg: true,
      describe:
        'Only contenders with one of these words in their names, with commas between; none for ours alone',
    },
    threads: {
      type: 'number',
      requiresArg: true,
      defaultDescription: 'all cores',
      describe: 'Of each contender',
    },
    quick: { type: 'boolean', default: false, describe: 'Shows that everything works: the least work' },
    json: { type: 'boolean', default: false, describe: 'Results as JSON on stdout, tables on stderr' },
  })
  .example('$0', 'Everything; takes a while')
  .example('$0 train --sizes 32', 'A training step at 32 pixels')
  .example('$0 generate --peers eager --json', 'Beside PyTorch eager, for a program')
  .strictOptions()
  .detectLocale(false)
  .version(false)
  .alias('help', 'h')
  .wrap(110)
  .exitProcess(false)
  .fail((message, error) => {
    throw error ?? new UsageError(message);
  });

async function caseLine(name: string): Promise<string> {
  return `  ${name.padEnd(12)}${(await loadCase(suite, name)).description}`;
}

async function run(): Promise<void> {
  const argv = await parser.parseAsync();
  if (argv.help) return;
  const chosen = argv._.length === 0 ? names : argv._.map(String);
  for (const name of chosen) {
    if (!names.includes(name))
      throw new UsageError(`there is no case ${name}, only ${names.join(', ')}${suggestion(name, names)}`);
  }
  const { quick } = argv;
  const usual = quick ? QUICK : USUAL;
  const rounds = positive('rounds', argv.rounds ?? usual.rounds);
  const seconds = quick ? 0 : positive('seconds', argv.seconds ?? usual.seconds);
  const threads = positive('threads', argv.threads ?? availableParallelism());
  const sizes = argv.sizes?.split(',').map((text) => positive('sizes', Number(text)));
  const place = suite.device(loadAddon().info().cuda);
  const python = argv.peers === 'none' ? undefined : findPeerPython();
  const device = 'device' in place ? place.device : 'cpu';
  const machine = describeMachine(threads, python, device);
  // Beside JSON the tables go to stderr: one run on a GPU gives both.
  const tables = argv.json ? process.stderr : process.stdout;
  const say = (text: string) => tables.write(`${text}\n`);
  say(machineText(machine));
  if (python === undefined && argv.peers !== 'none')
    say(
      'no Python with torch and safetensors (SAN_NATIVE_TEST_PYTHON or python3): the peers in it are left out',
    );
  if ('missing' in place) {
    say(`no GPU is measured: ${place.missing}`);
    if (argv.json) writeJson({ machine, missing: place.missing, results: [] });
    return;
  }
  const progress = progressLine();
  const results: ({ case: string } & (ComparisonResult | TableResult))[] = [];
  for (const name of chosen) {
    const benchCase = await loadCase(suite, name);
    const folder = await mkdtemp(join(tmpdir(), 'san-native-bench-'));
    try {
      const context = { device, sizes: sizes ?? benchCase.sizes, threads, quick, folder };
      for await (const comparison of benchCase.comparisons(context)) {
        if ('rows' in comparison) {
          results.push({ case: name, label: comparison.label, data: comparison.data });
          say(`\n${name}, ${tableText(comparison)}`);
          continue;
        }
        const contenders = comparison.contenders.filter(wanted(argv.peers, python));
        const options = { rounds, seconds, quick, python, onProgress: progress.show };
        const result = await compare({ ...comparison, contenders }, options);
        progress.clear();
        results.push({ case: name, ...result });
        say(`\n${name}, ${comparisonText(result)}`);
      }
    } finally {
      progress.clear();
      await rm(folder, { recursive: true, force: true });
    }
  }
  if (argv.json) writeJson({ machine, rounds, seconds, results });
  const failed = (one: ComparisonResult) =>
    one.results.some(({ ours, error }) => ours && error !== undefined);
  if (results.some((one) => 'results' in one && failed(one))) process.exitCode = 1;
}

type TableResult = Pick<Table, 'label' | 'data'>;

function writeJson(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
}

function positive(name: string, value: number): number {
  if (value > 0 && Number.isFinite(value)) return value;
  throw new UsageError(`--${name}: a number above 0 is needed`);
}

const wanted =
  (peers: string | undefined, python: string | undefined) =>
  ({ ours, name, command }: Comparison['contenders'][number]): boolean => {
    if (ours) return true;
    if (command === 'python' && python === undefined) return false;
    return peers === undefined || (peers !== 'none' && peers.split(',').some((word) => name.includes(word)));
  };

function progressLine() {
  if (!process.stderr.isTTY) return { show: () => {}, clear: () => {} };
  const update = createLogUpdate(process.stderr, { showCursor: true });
  return { show: (text: string) => update(text), clear: () => update.clear() };
}

try {
  await run();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  if (!(error instanceof UsageError) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
