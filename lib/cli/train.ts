import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { fields } from '../config/fields.js';
import { PRESET_NAMES, type PresetName } from '../config/presets.js';
import { requireDevice } from '../device.js';
import { launchRanks } from '../distributed/launch.js';
import { type RankOptions, rankFromEnvironment } from '../distributed/ranks.js';
import { UsageError } from '../errors.js';
import { loadAddon } from '../native.js';
import type { Profile } from '../profiling/profile.js';
import { train } from '../training/train.js';
import { askToResume } from './ask.js';
import { ExitStatus } from './exit-status.js';
import { configFlags, configFromFlags } from './flags.js';
import { onFirstSignal, statusOf } from './leave.js';
import { type PlanArguments, planFlags, showPlan, wantsPlan } from './plan.js';
import { profileText } from './profile-text.js';
import { createReporter, type Reporter } from './progress.js';

interface TrainArguments extends PlanArguments {
  'init-from': string | undefined;
  profile: string | undefined;
  ranks: string | undefined;
  gpus: string | undefined;
  'join-timeout': string | undefined;
  'rank-timeout': string | undefined;
}

export const trainCommand: CommandModule<object, TrainArguments> = {
  command: 'train <data>',
  describe: 'Train on images',
  builder: (yargs) => {
    const command = yargs
      .positional('data', {
        type: 'string',
        demandOption: true,
        describe: 'Folder, archive or file of images',
      })
      .options({
        out: {
          alias: 'o',
          type: 'string',
          requiresArg: true,
          group: 'Run folder and settings:',
          describe: 'Run folder to make, or to continue with --resume',
        },
        preset: {
          type: 'string',
          requiresArg: true,
          group: 'Run folder and settings:',
          describe: `Named settings: ${PRESET_NAMES.join(', ')}`,
        },
        config: {
          type: 'string',
          requiresArg: true,
          group: 'Run folder and settings:',
          describe: 'YAML or JSON file of settings, keys in camelCase; flags win over it, it over the preset',
        },
        resume: {
          type: 'boolean',
          default: false,
          group: 'Run folder and settings:',
          describe: 'Continue the run in --out from its newest whole checkpoint',
        },
        ...planFlags,
        'init-from': {
          type: 'string',
          requiresArg: true,
          group: 'Run folder and settings:',
          describe: 'Run folder or checkpoint with the weights to begin from, where names and shapes match',
        },
        profile: {
          type: 'string',
          requiresArg: true,
          group: 'Run folder and settings:',
          describe: 'File for a Chrome trace of ten steps; a table of where the time went is printed',
        },
        ranks: {
          type: 'string',
          requiresArg: true,
          group: 'Several ranks:',
          hidden: true,
          describe: 'Train as so many processes on this machine: docs/distributed.md',
        },
        gpus: {
          type: 'string',
          requiresArg: true,
          conflicts: 'ranks',
          group: 'Run folder and settings:',
          describe: 'Train on so many GPUs of this machine, a process each',
        },
        'join-timeout': {
          type: 'string',
          requiresArg: true,
          group: 'Several ranks:',
          hidden: true,
          describe: 'Seconds to wait for all ranks at the beginning; default 60',
        },
        'rank-timeout': {
          type: 'string',
          requiresArg: true,
          group: 'Several ranks:',
          hidden: true,
          describe: 'Seconds without a sign of life after which a rank is lost; default 60',
        },
        json: { type: 'boolean', default: false, describe: 'One JSON object per tick on stdout' },
        quiet: { type: 'boolean', default: false, describe: 'Say nothing but errors' },
      })
      .example('$0 train photos --out runs/photos --preset quickstart', '32×32 in some minutes')
      .example('$0 train photos --out runs/64 --image-size 64', 'Larger')
      .example('$0 train photos --out runs/64 --resume --steps 9000', 'On with it, for more steps')
      .example('$0 train photos --augment photographs --preview-augment seen.png', 'What training would see')
      .showHidden('help-all', 'Show help with all settings')
      .epilogue(`All ${fields.length} settings: san-native train --help-all`);
    // Apart from the chain, whose type would lose all names in that of a record.
    command.options(configFlags);
    return command;
  },
  handler: run,
};

async function run(argv: ArgumentsCamelCase<TrainArguments>): Promise<void> {
  const ranks = ranksOf(argv);
  const follows = ranks !== undefined && ranks.rank > 0;
  const launched = ranksToLaunch(argv);
  // A plan is told once, by this process or by rank 0; the others have nothing to do.
  if (follows ? wantsPlan(argv) : await showPlan(argv)) return;
  const { data, out, preset, config } = argv;
  if (out === undefined) throw new UsageError('the flag --out is missing');
  // Before there are ranks: the others would not wait for the answer for long.
  const mayAsk = !argv.resume && !argv.json && !argv.quiet && ranks === undefined;
  const asked = mayAsk && (await askToResume(out));
  if (launched !== undefined) return launch(argv, launched, asked ? ['--resume'] : []);
  const resume = argv.resume || asked;
  const reporter = createReporter({ json: argv.json, quiet: argv.quiet || follows });
  const stop = stopOnSignal(reporter, ranks !== undefined);
  const save = saveOnSignal(reporter);
  try {
    const options = {
      ...configFromFlags(argv),
      data,
      out,
      resume,
      initFrom: argv['init-from'],
      preset: preset as PresetName | undefined,
      config,
    };
    const onProfile = (profile: Profile) => {
      if (!argv.json && !argv.quiet) process.stdout.write(`${profileText(profile)}\n`);
    };
    const control = {
      signal: stop.signal,
      checkpointWanted: save.wanted,
      profile: argv.profile,
      onProfile,
      ranks,
    };
    for await (const tick of train(options, control)) reporter.tick(tick);
  } finally {
    stop.release();
    save.release();
    reporter.close();
  }
  if (stop.status !== 0) throw new ExitStatus(stop.status);
}

/** Which rank a launcher says this is, with the flags' times. */
function ranksOf(argv: TrainArguments): RankOptions | undefined {
  const found = rankFromEnvironment();
  return (
    found && {
      ...found,
      joinTimeout: secondsOf(argv, 'join-timeout'),
      timeout: secondsOf(argv, 'rank-timeout'),
    }
  );
}

function secondsOf(argv: TrainArguments, flag: 'join-timeout' | 'rank-timeout'): number | undefined {
  const text = argv[flag];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (value >= 0.1 && value <= 1e6) return value;
  throw new UsageError(`--${flag} ${text}: expected a number of seconds from 0.1 to 1000000`);
}

interface LaunchFlag {
  flag: '--ranks' | '--gpus';
  count: number;
}

/** The flag that asks for ranks to be started, and how many; undefined without one. Throws UsageError. */
function ranksToLaunch({ ranks, gpus }: TrainArguments): LaunchFlag | undefined {
  const [flag, value] = gpus === undefined ? (['--ranks', ranks] as const) : (['--gpus', gpus] as const);
  if (value === undefined) return undefined;
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1 || count > 1024)
    throw new UsageError(`${flag} ${value}: expected a whole number from 1 to 1024`);
  if (rankFromEnvironment() !== undefined)
    throw new UsageError(
      `${flag} starts the ranks itself; leave it out where a launcher such as torchrun has`,
    );
  return { flag, count };
}

/** Starts the ranks, with the same command line but for the flag that asks for them, and `more` after the command. */
async function launch(
  { gpus }: TrainArguments,
  { flag, count }: LaunchFlag,
  more: readonly string[],
): Promise<void> {
  if (gpus !== undefined) requireDevice(`cuda:${count - 1}`, loadAddon().info().cuda);
  const args = process.argv.slice(2);
  // Given more than once the last one counts, and a rank is to see none.
  const others = args.filter(
    (word, i) => word !== flag && args[i - 1] !== flag && !word.startsWith(`${flag}=`),
  );
  // Not at the end, where they may stand behind a --.
  others.splice(others.indexOf('train') + 1, 0, ...more);
  const status = await launchRanks(count, others);
  if (status !== 0) throw new ExitStatus(status);
}

/** SIGUSR1, which batch systems send some time before they end a job, asks for a checkpoint. */
function saveOnSignal(reporter: Reporter) {
  let asked = false;
  const onSignal = () => {
    asked = true;
    reporter.note('SIGUSR1: saving a checkpoint after this step and going on');
  };
  process.on('SIGUSR1', onSignal);
  return {
    /** Whether the signal came since this was last asked. */
    wanted: () => {
      const wanted = asked;
      asked = false;
      return wanted;
    },
    release: () => {
      process.off('SIGUSR1', onSignal);
    },
  };
}

/**
 * The first signal ends training in order; with our listener gone, a second one ends the process at once. A reader of
 * our output that goes away is a signal too, and for a rank so is the end of the launcher.
 */
function stopOnSignal(reporter: Reporter, isRank: boolean) {
  const controller = new AbortController();
  const stop = { signal: controller.signal, status: 0, release };
  function end(name: NodeJS.Signals): void {
    stop.status ||= statusOf(name);
    controller.abort();
  }
  const releaseSignals = onFirstSignal((name) => {
    reporter.note(`${name}: saving a checkpoint after this step; once more leaves at once`);
    end(name);
  });
  /** Of a full output bin/ tells in the end. */
  const onFault = ({ code }: NodeJS.ErrnoException) =>
    code === 'EPIPE' ? end('SIGPIPE') : controller.abort();
  const streams = [process.stdout, process.stderr];
  const onOrphaned = () => end('SIGTERM');
  function release(): void {
    releaseSignals();
    process.off('disconnect', onOrphaned);
    // The fault of the last write is told only after it.
    setImmediate(() => {
      for (const stream of streams) stream.off('error', onFault);
    });
  }
  for (const stream of streams) stream.on('error', onFault);
  if (isRank) {
    // False, not undefined: there was a launcher.
    if (process.connected === false) onOrphaned();
    process.on('disconnect', onOrphaned);
    // Which its listener has made a reason to stay.
    process.channel?.unref();
  }
  return stop;
}
