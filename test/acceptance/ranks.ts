/**
 * Whether several ranks compute what one does: torchrun --no-python --nproc-per-node N node dist/test/acceptance/ranks.js
 * [STEPS]. Rank 0 prints a line of JSON for each estimator and pairing in float64 and float32: the largest difference of
 * the parameters (relative, as norms) and of the losses, times and bytes. Exit status 1 when they differ by more than
 * 1e-8 (float64, parameters) or 1e-3 (float32, losses).
 */
import { rankFromEnvironment } from '../../lib/distributed/ranks.js';
import { Team } from '../../lib/distributed/team.js';
import {
  type Dtype,
  type Estimator,
  LOSS_NAMES,
  type LossOptions,
  loadAddon,
  type NativeTensor,
  type Pairing,
  type TrainerOptions,
} from '../../lib/native.js';
import { relativeDifference } from '../native/differences.js';
import { someImages, trainerOptions } from '../native/support.js';

const ESTIMATORS: Estimator[] = ['normal', 'sliced', 'sinkhorn', 'dual'];
const PAIRINGS: Pairing[] = ['cycle', 'assigned', 'random'];
const [stepsText = '20', only] = process.argv.slice(2);
const steps = Number(stepsText);

interface Case {
  name: string;
  loss: Partial<LossOptions>;
  changes?: Partial<TrainerOptions>;
}
const cases: Case[] = [
  ...ESTIMATORS.flatMap((estimator) =>
    PAIRINGS.map((pairing) => ({ name: `${estimator}, ${pairing}`, loss: { estimator, pairing } })),
  ),
  { name: 'penalty', loss: { penaltyWeight: 1, penaltyEvery: 2 } },
  { name: 'weights of its own for R, with LLZ', loss: { repulsionWeight: 0, wRZ: 0.7, wLZ: 0.4 } },
  { name: 'passes', loss: {}, changes: { accumulate: 2 } },
  {
    name: 'a gradient that is not finite on one rank',
    loss: {},
    changes: process.env.RANK === '1' ? { faults: { nanGradient: [2] } } : {},
  },
].filter(({ name }) => only === undefined || name === only);

const addon = loadAddon();
const ranks = rankFromEnvironment();
if (ranks === undefined) throw new Error('start this with torchrun');
const team = await Team.join(addon, ranks);

async function train(
  options: TrainerOptions,
): Promise<{ tensors: NativeTensor[]; losses: number[]; seconds: number }> {
  const trainer = await addon.createTrainer(options);
  const begin = performance.now();
  const report = await trainer.run({ steps });
  const seconds = (performance.now() - begin) / 1000;
  const { tensors } = await trainer.state();
  await trainer.dispose();
  const losses = report.losses.flatMap((one) => LOSS_NAMES.map((name) => one[name]));
  return { tensors, losses, seconds };
}

for (const { name, loss, changes } of cases) {
  for (const dtype of ['float64', 'float32'] as Dtype[]) {
    const options = trainerOptions({
      dtype,
      threads: 1,
      batchSize: 16,
      images: someImages(50),
      augmentation: {
        flipHorizontal: 0.5,
        flipVertical: 0,
        rotate90: 0,
        rotate: 0,
        rotateProbability: 0,
        translate: 0.1,
        translateProbability: 1,
        cropScale: 1,
        cropProbability: 0,
        brightness: 0.2,
        brightnessProbability: 1,
        contrast: 0,
        contrastProbability: 0,
        saturation: 0,
        saturationProbability: 0,
        hue: 0,
        hueProbability: 0,
        cutout: 0,
        cutoutProbability: 0,
      },
      loss: { ...trainerOptions().loss, ...loss },
      // In float32 rounding flips a gate of ADO or the sign of an update now and then, after which two courses part, on one
      // rank as well (float32 beside float64, two passes beside one); the smaller the rate, the later.
      optimizer: { ...trainerOptions().optimizer, learningRate: dtype === 'float64' ? 1e-3 : 1e-4 },
    });
    const before = await team.group.traffic();
    const shared = { ...options, ...changes, group: team.group };
    if (ranks.rank > 0) {
      const trainer = await addon.createTrainer(shared);
      await trainer.follow();
      await trainer.dispose();
      continue;
    }
    const together = await train(shared);
    const after = await team.group.traffic();
    const faulty = name.includes('not finite');
    const single = await train({ ...options, ...(faulty && { faults: { nanGradient: [2] } }) });
    const parameters = relativeDifference(single.tensors, together.tensors);
    const losses = faulty ? 0 : largestRelative(single.losses, together.losses);
    const good = dtype === 'float64' ? parameters < 1e-8 : losses < 1e-3;
    if (!good) process.exitCode = 1;
    console.log(
      JSON.stringify({
        case: name,
        dtype,
        ranks: team.size,
        good,
        parameters: Number(parameters.toPrecision(3)),
        losses: Number(losses.toPrecision(3)),
        secondsPerStep: Number((together.seconds / steps).toPrecision(3)),
        secondsPerStepAlone: Number((single.seconds / steps).toPrecision(3)),
        bytesPerStep: Math.round((after.bytes - before.bytes) / steps),
        collectivesPerStep: (after.collectives - before.collectives) / steps,
        secondsWaitedPerStep: Number(((after.secondsWaited - before.secondsWaited) / steps).toPrecision(3)),
      }),
    );
  }
}
await team.group.leave({});

function largestRelative(a: readonly number[], b: readonly number[]): number {
  return Math.max(
    ...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN)) / Math.max(Math.abs(value), 1e-3)),
  );
}
