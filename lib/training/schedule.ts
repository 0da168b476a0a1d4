/**
 * What the rates of a run are at each step. With t the step, counted from 1, n = `steps`, w = `learningRateWarmup`,
 * B = `batchSize`:
 *
 *     learning rate      min(1, t / w) · course(learningRate, learningRateFinal, (t - w) / (n - w))
 *     lambda             course(lambda, lambdaFinal, (t - 1) / (n - 1))
 *     repulsion weight   repulsionWeight · min(1, t / repulsionWarmup)
 *     EMA decay          2^(-B / h), h = min(emaHalfLife, emaRampUp · t · B)
 *
 * course(a, b, p), p from 0 to 1: `constant` a; `linear` a + (b - a) p; `cosine` b + (a - b) (1 + cos(pi p)) / 2.
 * The EMA's half-life with ramp-up is that of Karras et al. 2020 (StyleGAN2-ADA).
 */
import type { Config } from '../config/schema.js';
import type { StepSchedule } from '../native.js';

/** The keys that the rates depend on. */
export type ScheduleConfig = Pick<
  Config,
  | 'steps'
  | 'batchSize'
  | 'learningRate'
  | 'learningRateWarmup'
  | 'learningRateSchedule'
  | 'learningRateFinal'
  | 'lambda'
  | 'lambdaSchedule'
  | 'lambdaFinal'
  | 'repulsionWeight'
  | 'repulsionWarmup'
  | 'emaDecay'
  | 'emaHalfLife'
  | 'emaRampUp'
>;

/**
 * The rates of `count` steps from step `first` (counted from 1) on. They depend on the step alone, not on how a run is
 * cut into calls. `scale` multiplies the learning rate.
 */
export function scheduleOf(config: ScheduleConfig, first: number, count: number, scale = 1): StepSchedule {
  const fill = (rate: (step: number) => number) =>
    Float64Array.from({ length: count }, (_, i) => rate(first + i));
  return {
    learningRate: fill((step) => scale * learningRateAt(config, step)),
    lambda: fill((step) => lambdaAt(config, step)),
    emaDecay: fill((step) => emaDecayAt(config, step)),
    repulsionWeight: fill((step) => config.repulsionWeight * warmUp(step, config.repulsionWarmup)),
  };
}

export function learningRateAt(config: ScheduleConfig, step: number): number {
  const { steps, learningRate, learningRateWarmup: warm, learningRateSchedule, learningRateFinal } = config;
  const course = courseAt(
    learningRateSchedule,
    learningRate,
    learningRateFinal,
    share(step - warm, steps - warm),
  );
  return warmUp(step, warm) * course;
}

function lambdaAt({ steps, lambda, lambdaSchedule, lambdaFinal }: ScheduleConfig, step: number): number {
  return courseAt(lambdaSchedule, lambda, lambdaFinal, share(step - 1, steps - 1));
}

function emaDecayAt({ batchSize, emaDecay, emaHalfLife, emaRampUp }: ScheduleConfig, step: number): number {
  if (emaHalfLife === undefined && emaRampUp === 0) return emaDecay;
  const halfLife = emaHalfLife ?? (emaDecay === 0 ? 0 : -batchSize / Math.log2(emaDecay));
  const most = emaRampUp === 0 ? Number.POSITIVE_INFINITY : emaRampUp * step * batchSize;
  return 2 ** (-batchSize / Math.min(halfLife, most));
}

function courseAt(kind: Config['lambdaSchedule'], from: number, to: number, progress: number): number {
  if (kind === 'constant') return from;
  if (kind === 'linear') return from + (to - from) * progress;
  return to + ((from - to) * (1 + Math.cos(Math.PI * progress))) / 2;
}

const warmUp = (step: number, steps: number): number => (step < steps ? step / steps : 1);

/** part / whole, kept from 0 to 1; 0 where there is no whole: a course over no steps has not begun. */
const share = (part: number, whole: number): number =>
  whole <= 0 ? 0 : Math.min(1, Math.max(0, part / whole));
