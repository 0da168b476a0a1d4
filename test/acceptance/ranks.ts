/**
 * Whether several ranks compute what one does: torchrun --no-python --nproc-per-node N node dist/test/acceptance/ranks.js
 * [--learning-rate RATE] [--ado-threshold T] [STEPS] [CASE...]; cases are by default all of a tiny network, others the
 * presets. Rank 0 prints a line of JSON for each in float64 and float32. Exit status 1 unless
 * - every bit of parameters, moments and losses is that of one rank that takes the batch in N passes;
 * - in float64, the parameters are within 1e-8 of one rank's in one pass (relative, as norms);
 * - in float32, the losses are within 1e-3 of one rank's in one pass, or else, where rounding flips a gate of ADO or the
 *   sign of an update, no further from float64's than thrice what one rank's own are, in one pass or several.
 */
import { parseArgs } from 'node:util';
import type { PresetName } from '../../lib/config/presets.js';
import { presetLayer, resolveConfig } from '../../lib/config/resolve.js';
import { rankFromEnvironment } from '../../lib/distributed/ranks.js';
import { Team } from '../../lib/distributed/team.js';
import {
  type Dtype,
  type Estimator,
  type ImageBatch,
  LOSS_NAMES,
  type LossOptions,
  loadAddon,
  type NativeTensor,
  type Pairing,
  type TrainerOptions,
} from '../../lib/native.js';
import { trainerOptions as optionsOf } from '../../lib/training/trainer-options.js';
import { relativeDifference } from '../native/differences.js';
import { someImages, trainerOptions } from '../native/support.js';

const ESTIMATORS: Estimator[] = ['normal', 'sliced', 'sinkhorn', 'dual'];
const PAIRINGS: Pairing[] = ['cycle', 'assigned', 'random'];
const PRESETS = ['quickstart', '32'] as const satisfies PresetName[];
const { values, positionals } = parseArgs({
  options: { 'learning-rate': { type: 'string' }, 'ado-threshold': { type: 'string' } },
  allowPositionals: true,
});
const [stepsText = '20', ...only] = positionals;
const rate = values['learning-rate'];
const threshold = values['ado-threshold'];
const steps = Number(stepsText);

const addon = loadAddon();
const ranks = rankFromEnvironment();
if (ranks === undefined) throw new Error('start this with torchrun');
const team = await Team.join(addon, ranks);

interface Case {
  name: string;
  options: TrainerOptions;
  /** Of rank 1 alone. */
  faults?: TrainerOptions['faults'];
}

const augmentation = {
  ...optionsOf(resolveConfig([]), addon).augmentation,
  flipHorizontal: 0.5,
  translate: 0.1,
  translateProbability: 1,
  brightness: 0.2,
  brightnessProbability: 1,
} as NonNullable<TrainerOptions['augmentation']>;

const tiny = (loss: Partial<LossOptions>, changes: Partial<TrainerOptions> = {}) =>
  trainerOptions({
    batchSize: 16,
    images: someImages(50),
    augmentation,
    loss: { ...trainerOptions().loss, ...loss },
    ...changes,
  });

function ofPreset(name: PresetName): TrainerOptions {
  const config = resolveConfig([presetLayer(name)]);
  return { ...optionsOf(config, addon), images: colours(2 * config.batchSize, config.imageSize) };
}

/** Smooth pictures, each another. */
function colours(count: number, size: number): ImageBatch {
  const data = new Uint8Array(count * size * size * 3);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / 3);
    const image = Math.floor(pixel / size ** 2);
    const waves = (pixel % size) * (1 + (image % 5)) + (Math.floor(pixel / size) % size) * (1 + (image % 3));
    data[i] = 127.5 + 127 * Math.sin((6 * (waves + 9 * (i % 3) + image)) / size);
  }
  return { data, shape: [count, size, size, 3] };
}

const all: Case[] = [
  ...ESTIMATORS.flatMap((estimator) =>
    PAIRINGS.map((pairing) => ({ name: `${estimator}, ${pairing}`, options: tiny({ estimator, pairing }) })),
  ),
  { name: 'judged reconstructions', options: tiny({ reconstructionShare: 0.5, wLZ: 0.1 }) },
  { name: 'penalty', options: tiny({ penaltyWeight: 1, penaltyEvery: 2 }) },
  {
    name: 'weights of its own for R, with LLZ',
    options: tiny({ repulsionWeight: 0, wRZ: 0.7, wLZ: 0.4 }),
  },
  { name: 'passes', options: tiny({}, { accumulate: 2 }) },
  {
    name: 'a gradient that is not finite on one rank',
    options: tiny({}),
    faults: { nanGradient: [2] },
  },
];
const cases: Case[] =
  only.length === 0
    ? all
    : [...all, ...PRESETS.map((name) => ({ name, options: ofPreset(name) }))].filter(({ name }) =>
        only.includes(name),
      );

interface Trained {
  tensors: NativeTensor[];
  /** One after another, by name. */
  losses: number[];
  seconds: number;
}

async function train(options: TrainerOptions): Promise<Trained> {
  const trainer = await addon.createTrainer({ threads: 1, ...options });
  const begin = performance.now();
  const report = await trainer.run({ steps });
  const seconds = (performance.now() - begin) / 1000;
  const { tensors } = await trainer.state();
  await trainer.dispose();
  const losses = report.losses.flatMap((one) => LOSS_NAMES.map((name) => one[name]));
  return { tensors, losses, seconds };
}

for (const { name, options: given, faults } of cases) {
  let float64: Trained | undefined;
  for (const dtype of ['float64', 'float32'] as Dtype[]) {
    const optimizer = { ...given.optimizer, ...(rate !== undefined && { learningRate: Number(rate) }) };
    const model = { ...given.model, ...(threshold !== undefined && { adoThreshold: Number(threshold) }) };
    const options = { ...given, model, optimizer, dtype };
    const before = await team.group.traffic();
    const shared = { ...options, ...(ranks.rank === 1 && faults && { faults }), group: team.group };
    if (ranks.rank > 0) {
      const trainer = await addon.createTrainer({ threads: 1, ...shared });
      await trainer.follow({});
      await trainer.dispose();
      continue;
    }
    const together = await train(shared);
    const after = await team.group.traffic();
    const alone = { ...options, ...(faults && { faults }) };
    const inPasses = (passes: number) => train({ ...alone, accumulate: passes });
    const one = await inPasses(1);
    const passes = team.size * (options.accumulate ?? 1);
    const sameBits = identical(together, await inPasses(passes));
    float64 ??= one;
    const { losses: exact } = float64;
    const parameters = relativeDifference(one.tensors, together.tensors);
    const losses = largestRelative(one.losses, together.losses);
    let close = dtype === 'float64' ? parameters < 1e-8 : losses < 1e-3;
    const line: Record<string, unknown> = {
      case: name,
      dtype,
      ranks: team.size,
      sameBits,
      parameters: rounded(parameters),
      losses: rounded(losses),
    };
    if (!close && dtype === 'float32') {
      const others = [one, ...(await Promise.all([2, 4, 8].filter((n) => n !== passes).map(inPasses)))];
      const own = Math.max(...others.map((other) => largestRelative(exact, other.losses)));
      const shift = largestRelative(exact, together.losses);
      close = shift < 3 * own;
      Object.assign(line, {
        stepsWithin1e3: stepsWithin(1e-3, one.losses, together.losses),
        fromFloat64: rounded(shift),
        oneRankFromFloat64: rounded(own),
        oneRankStepsWithin1e3: Math.min(...others.map((other) => stepsWithin(1e-3, exact, other.losses))),
      });
    }
    const good = sameBits && close;
    if (!good) process.exitCode = 1;
    console.log(
      JSON.stringify({
        ...line,
        good,
        secondsPerStep: rounded(together.seconds / steps),
        secondsPerStepAlone: rounded(one.seconds / steps),
        bytesPerStep: Math.round((after.bytes - before.bytes) / steps),
        collectivesPerStep: (after.collectives - before.collectives) / steps,
        secondsWaitedPerStep: rounded((after.secondsWaited - before.secondsWaited) / steps),
      }),
    );
  }
}
await team.group.leave({});

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

function identical(a: Trained, b: Trained): boolean {
  return (
    a.tensors.every(({ data }, i) => Buffer.compare(data, b.tensors[i]?.data ?? Buffer.alloc(0)) === 0) &&
    a.losses.every((loss, i) => Object.is(loss, b.losses[i]))
  );
}

function relative(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN)) / Math.max(Math.abs(value), 1e-3));
}

function largestRelative(a: readonly number[], b: readonly number[]): number {
  return Math.max(...relative(a, b));
}

/** Steps until a loss is further off than `bound`. */
function stepsWithin(bound: number, a: readonly number[], b: readonly number[]): number {
  const first = relative(a, b).findIndex((difference) => !(difference < bound));
  return first < 0 ? steps : Math.floor(first / LOSS_NAMES.length);
}
