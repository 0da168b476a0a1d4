import { configLayers } from '../config/layers.js';
import type { PresetName } from '../config/presets.js';
import type { ConfigInput } from '../config/schema.js';
import { requireDevices } from '../device.js';
import { followRun } from '../distributed/follow.js';
import type { RankOptions } from '../distributed/ranks.js';
import { Team } from '../distributed/team.js';
import { ConfigError } from '../errors.js';
import type { FileLock } from '../file-lock.js';
import { loadAddon } from '../native.js';
import { requireControl, requireKeys, requireObject, requirePath } from '../options.js';
import type { Profile } from '../profiling/profile.js';
import { StepProfiler, WARM_UP } from '../profiling/step-profiler.js';
import { stepsUntilCaptured } from './captured-steps.js';
import { meanFlops, stepFlops } from './cost.js';
import { type Log, logged } from './log.js';
import { type LoopOptions, trainingLoop } from './loop.js';
import { beginRun, continueRun } from './prepare.js';
import { RunFolder } from './run-folder.js';
import { RunLock } from './run-lock.js';
import type { Tick } from './ticks.js';

/** What to train on and where to; any config key may stand beside these and wins over the file and the preset. */
export interface TrainOptions extends ConfigInput {
  /** Folder, archive or file of images: docs/data.md has all kinds. */
  data: string;
  /** Run folder; made when missing. One that holds a run is refused, unless `resume` is set. */
  out: string;
  /**
   * Go on with the run in `out` from its newest whole checkpoint, with its own settings; those given here must agree
   * with them, except steps and others that do not change what a step computes. Begins a new run where there is none.
   */
  resume?: boolean | undefined;
  /**
   * Begin from the weights of this run folder's newest checkpoint, or of this checkpoint file, wherever names and
   * shapes match; notes and the run folder's init.json say what did not. A run that is resumed must have begun so.
   */
  initFrom?: string | undefined;
  /** Named settings under all others. */
  preset?: PresetName | undefined;
  /** YAML or JSON file of config keys, over the preset. */
  config?: string | undefined;
}

export interface TrainControl {
  /** Ends the run after the step under way, with a checkpoint and a last tick that says `stopped: 'aborted'`. */
  signal?: AbortSignal | undefined;
  /** Asked several times a second: whether to write a checkpoint now, besides those that are due. */
  checkpointWanted?: (() => boolean) | undefined;
  /** Told every note and every file written. What it throws ends training, and train() throws it. */
  log?: Log | undefined;
  /**
   * File for a Chrome trace of steps 4 to 13 of this session: docs/benchmarks.md. What is wrong with it is told by a
   * note and does not end training.
   */
  profile?: string | undefined;
  /** Told where the time of those steps went. */
  onProfile?: ((profile: Profile) => void) | undefined;
  /**
   * Which of several ranks this process is: docs/distributed.md. Default alone. A rank other than 0 yields no ticks and
   * takes its settings from rank 0; its `signal` ends the run on all.
   */
  ranks?: RankOptions | undefined;
}

/**
 * Trains a SAN (spec sections 1 to 3) and yields its progress. Training goes on only while ticks are taken; leaving
 * the loop early ends it and frees the native memory, without a checkpoint.
 *
 * Throws ConfigError, DataError, OutputError, SetupError; CheckpointError when a run to be resumed has no whole
 * checkpoint, or when `initFrom` has none that fits; ERR_SAN_NON_FINITE when a loss is no longer a number. On several
 * ranks also ERR_SAN_RENDEZVOUS when they do not come together, and ERR_SAN_RANK_LOST when one fails or dies.
 */
export async function* train(
  options: TrainOptions,
  control: TrainControl = {},
): AsyncGenerator<Tick, void, void> {
  requireKnownControl(control);
  yield* logged(allTicks(options, control), control.log);
}

const CONTROL_KEYS: readonly (keyof TrainControl)[] = [
  'signal',
  'checkpointWanted',
  'log',
  'profile',
  'onProfile',
  'ranks',
];

function requireKnownControl(control: TrainControl): void {
  requireKeys(control, CONTROL_KEYS, 'control');
  const { profile, ranks, ...others } = control;
  requireControl(others, CONTROL_KEYS);
  if (profile !== undefined) requirePath('profile', profile);
  if (ranks !== undefined) requireObject(ranks, '{ rank, worldSize, host, port }', 'ranks');
}

/** One rank's part, among its team if there are others. */
async function* allTicks(options: TrainOptions, control: TrainControl): AsyncGenerator<Tick, void, void> {
  const { ranks } = control;
  requireObject(options, '{ data, out, preset }');
  requireConfigPath('data', options.data);
  requireConfigPath('out', options.out);
  // A launcher that starts the ranks again means them to go on.
  const resumed = (ranks?.attempt ?? 0) > 0 ? { ...options, resume: true } : options;
  if (ranks === undefined || ranks.worldSize === 1) {
    yield* ownTicks(resumed, control);
    return;
  }
  const addon = loadAddon();
  const team = await Team.join(addon, ranks);
  try {
    if (team.rank > 0) await followRun(team, addon, { data: options.data, ...control });
    else yield* ownTicks(resumed, ledControl(control), team);
  } catch (error) {
    await team.fail(error);
    throw error;
  } finally {
    await team.leave();
  }
}

/** A control that the other ranks take part in: stop and save are called for what they ask. */
function ledControl(control: TrainControl): LedControl {
  const { signal, checkpointWanted } = control;
  const stopped = new AbortController();
  let asked = false;
  return {
    ...control,
    signal: signal === undefined ? stopped.signal : AbortSignal.any([signal, stopped.signal]),
    checkpointWanted: () => {
      const wanted = asked;
      asked = false;
      return (checkpointWanted?.() ?? false) || wanted;
    },
    asked: {
      stop: () => stopped.abort(),
      checkpoint: () => {
        asked = true;
      },
    },
  };
}

interface LedControl extends TrainControl {
  asked?: Parameters<Team['watch']>[1];
}

async function* ownTicks(
  options: TrainOptions,
  control: LedControl,
  team?: Team,
): AsyncGenerator<Tick, void, void> {
  const { data, out, resume = false, initFrom, preset, config: file, ...keys } = options;
  if (initFrom !== undefined) requireConfigPath('initFrom', initFrom);
  const layers = await configLayers({ preset, config: file, keys: { ...keys } });
  const found = resume ? await RunFolder.find(out) : undefined;
  if (resume && found === undefined)
    yield { type: 'note', level: 'info', message: `there is no run in ${out} yet; beginning one` };
  let held: FileLock | undefined;
  const { signal } = control;
  const lock = async () => {
    try {
      held = await RunLock.take(out, signal);
      return true;
    } catch (error) {
      if (signal?.aborted && error === signal.reason) return false;
      throw error;
    }
  };
  const requireLock = async () => held?.requireHeld();
  try {
    const plan = { data, layers, initFrom, control, lock, requireLock, team };
    const run = found === undefined ? yield* beginRun(out, plan) : yield* continueRun(found, plan);
    if (run === undefined) return;
    try {
      if (control.asked) team?.watch(run.trainer, control.asked);
      yield* profiled(run, control);
    } finally {
      await run.trainer.dispose();
      await run.evaluator?.dispose();
    }
  } finally {
    await held?.release();
  }
}

/** The training loop, some of its steps recorded if that is wished. */
async function* profiled(run: LoopOptions, control: TrainControl): ReturnType<typeof trainingLoop> {
  const { profile: path, onProfile } = control;
  const ticks = trainingLoop({ ...run, ...control });
  if (path === undefined) return yield* ticks;
  const { trainer, config } = run;
  const addon = loadAddon();
  const device = requireDevices(config, addon.info().cuda);
  const profiler = new StepProfiler({
    addon,
    path,
    flops: meanFlops(stepFlops(config), config),
    threads: config.threads,
    device,
    precision: config.precision,
    // A GPU's steps are worth looking at once they are captured.
    ...(device !== 'cpu' && { warmUp: Math.max(WARM_UP, stepsUntilCaptured(config)) }),
    onProfile,
  });
  profiler.watch(trainer);
  try {
    for await (const tick of ticks) {
      yield* tick.type === 'end' ? await profiler.end() : profiler.notes();
      yield tick;
    }
  } finally {
    await profiler.stop();
  }
}

function requireConfigPath(field: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') return;
  throw new ConfigError(`${field} must be the path of a file or folder`, { field, value });
}
