/** A run between two roll-backs; the whole of one that has none. */
import { OutputError } from '../errors.js';
import { LockLost } from '../file-lock.js';
import type { StepReport, StepSchedule } from '../native.js';
import { Artifacts } from './artifacts.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { ChunkSizer } from './chunk-sizer.js';
import type { Failure, Guard } from './guard.js';
import { libtorchNotes } from './log.js';
import { complaints } from './looks.js';
import type { LoopOptions } from './loop.js';
import { lossesOfStep, type MeanLosses, meanLosses } from './loss-history.js';
import { MetricsFile } from './metrics-file.js';
import { hasMetrics, MetricsLog } from './metrics-log.js';
import { namingSettings } from './out-of-memory.js';
import { overfitting } from './overfitting.js';
import { RunningMean } from './running-mean.js';
import { scheduleOf } from './schedule.js';
import { lastStepOf, type Stop, StoppingRules } from './stopping.js';
import { EventWriter } from './tensorboard/event-writer.js';
import { scalarsOf } from './tensorboard/tags.js';
import type { EndTick, NoteTick, StepsTick } from './ticks.js';
import { ValueCourse } from './value-course.js';
import type { Warnings } from './warnings.js';

/** Weight of the latest chunk in the rate that is shown. */
const RATE_WEIGHT = 0.2;

export interface SectionOptions extends LoopOptions {
  guard: Guard;
  warnings: Warnings;
  /** Seconds of training so far, those before a break included. */
  seconds(): number;
}

interface Parts {
  log: MetricsLog;
  events: EventWriter;
  rules: StoppingRules;
  best: ValueCourse;
}

/**
 * All other files of a step are written before its checkpoint: who finds a checkpoint misses nothing of what led to it.
 */
export class Section {
  private readonly options: SectionOptions;
  private readonly parts: Parts;
  private readonly artifacts: Artifacts;
  private readonly checkpoints: CheckpointWriter;
  private readonly sizer = new ChunkSizer();
  private readonly smoothed = new RunningMean();
  private readonly begun: number;
  private readonly lastStep: number;
  private step: number;
  private rate = 0;
  /** Seconds that steps have taken in this section. */
  private stepSeconds = 0;
  private skipped: number;
  private wrote: string[] = [];
  private checkpointPending = false;

  private constructor(options: SectionOptions, parts: Parts) {
    const { from, config } = options;
    this.options = options;
    this.parts = parts;
    this.skipped = from?.skipped ?? 0;
    this.begun = from?.step ?? 0;
    this.step = this.begun;
    this.lastStep = lastStepOf(config);
    this.artifacts = new Artifacts({ ...options, events: parts.events });
    this.checkpoints = new CheckpointWriter({
      ...options,
      latest: from?.path,
      damaged: from?.damaged.map(({ path }) => path),
      valueAt: (step) => parts.best.at(step),
    });
  }

  /** Takes up the files where the section begins. Throws OutputError. */
  static async open(options: SectionOptions): Promise<Section> {
    const { config, folder, from } = options;
    const { step: begun = 0, recent } = from ?? {};
    await options.requireLock?.();
    const summedUp = begun - (recent ? recent.steps + recent.skipped : 0);
    const file = await MetricsFile.open(
      folder.metrics,
      // What was written at the end without being due there goes if the run has more steps now.
      (line) => {
        if (begun >= lastStepOf(config)) return line.step <= begun;
        return hasMetrics(line)
          ? line.step < begun || (line.step === begun && isDue(begun, config.metricEvery))
          : line.step <= summedUp;
      },
    );
    const events = await EventWriter.open(folder.tensorboard, { keepUpTo: begun });
    const rules = new StoppingRules(config);
    const best = new ValueCourse(config.keepBest);
    const onLine: NonNullable<ConstructorParameters<typeof MetricsLog>[0]['onLine']> = (line, before) => {
      rules.record(line);
      best.record(line);
      if (!before) events.scalars(line.step, scalarsOf(line));
    };
    const log = new MetricsLog({ file, config, recent, onLine });
    return new Section(options, { log, events, rules, best });
  }

  /** Gives the failure that the run has to go back for, or undefined when it has ended. */
  async *run(): AsyncGenerator<NoteTick | StepsTick | EndTick, Failure | undefined, void> {
    const { signal, warnings, seconds } = this.options;
    try {
      const began = seconds();
      const measured = await this.measureIfMissed();
      let stop = this.parts.rules.check(this.step, seconds());
      while (this.step < this.lastStep && !signal?.aborted && stop === undefined) {
        const chunk = await this.takeSteps();
        yield* warnings.take();
        if (chunk === undefined) continue;
        if ('failure' in chunk) {
          await this.options.requireLock?.();
          await warnings.tolerate('metrics', () => this.parts.log.flush());
          return chunk.failure;
        }
        await this.writeDue();
        yield* warnings.take();
        yield this.stepsTick(chunk.losses, chunk.learningRate, began);
        stop = this.parts.rules.check(this.step, seconds());
      }
      const stopped = this.stoppedBy(stop);
      // An evaluation at the end may have been kept off by an abort, or have gone when the file was taken up.
      const unmeasured = stopped !== 'aborted' && this.lacksEvaluation;
      if (this.step > this.begun || measured || unmeasured) {
        await this.writeLast(stopped);
        yield* warnings.take();
      }
      yield this.endTick(stop);
      return undefined;
    } finally {
      await this.checkpoints.settled();
    }
  }

  /** A chunk of steps, and what is measured of it; undefined when it was interrupted before the first. */
  private async takeSteps(): Promise<
    { losses: MeanLosses; learningRate: number } | { failure: Failure } | undefined
  > {
    const { config, guard, warnings, seconds } = this.options;
    const steps = this.sizer.next(this.toNextEvent());
    const schedule = scheduleOf(config, this.step + 1, steps, guard.state.learningRateScale);
    const report = await this.runChunk(steps, schedule);
    for (const { message } of libtorchNotes(report.warnings)) warnings.tell(message);
    const done = report.losses.length;
    if (done === 0) return undefined;
    this.step = report.step;
    this.sizer.record(done, report.seconds);
    const latest = (done * config.batchSize) / Math.max(report.seconds, 1e-9);
    this.rate = this.rate === 0 ? latest : this.rate + RATE_WEIGHT * (latest - this.rate);
    this.stepSeconds += report.seconds;
    this.skipped += report.skipped.length;
    const rateAt = (index: number) => schedule.learningRate[index] ?? 0;
    this.parts.log.record(report, seconds(), this.lastStep, rateAt);
    const lines = Math.floor(this.step / config.logEvery) - Math.floor((this.step - done) / config.logEvery);
    if (lines > 0) this.parts.events.scalars(this.step, scalarsOf({ imagesPerSecond: this.rate }));
    const first = report.skipped[0];
    if (first) {
      warnings.repeat(
        'skipped step',
        `step ${first.step} was skipped: ${first.what} was not finite; ${this.skipped} skipped so far`,
      );
    }
    const failure = guard.record(report.step, done, report.skipped);
    if (failure) return { failure };
    const bad = new Set(report.skipped.map(({ step }) => step));
    const good = report.losses.flatMap((losses, i) => {
      const step = report.step - done + 1 + i;
      return bad.has(step) ? [] : [lossesOfStep(losses, step, config)];
    });
    for (const losses of good) this.smoothed.add(losses);
    return { losses: meanLosses(good), learningRate: rateAt(done - 1) };
  }

  private async runChunk(steps: number, schedule: StepSchedule): Promise<StepReport> {
    const { trainer, config } = this.options;
    try {
      return await trainer.run({ steps, schedule });
    } catch (error) {
      throw namingSettings(error, config, `after step ${this.step}`);
    }
  }

  /** Writes what is due after this step. */
  private async writeDue(): Promise<void> {
    const { config, warnings, guard, checkpointWanted } = this.options;
    const { step, parts } = this;
    await this.options.requireLock?.();
    if (isDue(step, config.metricEvery) && step < this.lastStep) await this.measure();
    await warnings.tolerate('metrics', () => parts.log.flush());
    if (isDue(step, config.sampleEvery) && step < this.lastStep) {
      await warnings.tolerate('pictures', async () => this.wrote.push(...(await this.draw())));
    }
    await warnings.tolerate('TensorBoard events', () => parts.events.flush());
    const wanted = checkpointWanted?.() ?? false;
    if (wanted || (isDue(step, config.checkpointEvery) && step < this.lastStep))
      this.checkpointPending = true;
    // Not in the midst of a failure: the run may have to go back to what is saved.
    if (this.checkpointPending && guard.state.inRow === 0) {
      this.checkpointPending = false;
      await this.beginCheckpoint();
    }
    this.collectWritten();
  }

  /** What is written when the run ends. One thing that cannot be written does not keep the others from it. */
  private async writeLast(stopped: EndTick['stopped']): Promise<void> {
    const { signal } = this.options;
    const { log, events } = this.parts;
    const save = async () => {
      await this.checkpoints.settled();
      this.collectWritten();
      await this.beginCheckpoint();
      await this.checkpoints.settled();
      const { wrote, failures } = this.checkpoints.results();
      this.wrote.push(...wrote);
      for (const error of failures) throw error;
    };
    const lines = () => log.flush();
    const pictures = async () => {
      await this.draw(stopped)
        .then((wrote) => this.wrote.push(...wrote))
        .finally(() => events.close());
    };
    const measure = async () => {
      if (this.lacksEvaluation) await this.measure();
    };
    // Who stops a run may not have time for pictures.
    const order = signal?.aborted ? [save, lines, pictures] : [measure, lines, pictures, save];
    const failures: OutputError[] = [];
    for (const operation of order) {
      await this.options.requireLock?.();
      await operation().catch((error: unknown) => {
        if (!(error instanceof OutputError) || error instanceof LockLost) throw error;
        // That the state could not be saved matters most.
        if (operation === save) failures.unshift(error);
        else failures.push(error);
      });
    }
    if (failures[0]) throw failures[0];
  }

  private beginCheckpoint(): Promise<void> {
    const { guard, seconds } = this.options;
    const { recent } = this.parts.log;
    return this.checkpoints.begin(this.step, { seconds: seconds(), recent, guard: guard.state });
  }

  private collectWritten(): void {
    const { warnings, guard } = this.options;
    const { wrote, steps, failures } = this.checkpoints.results();
    this.wrote.push(...wrote);
    for (const step of steps) guard.passed(step);
    for (const error of failures) warnings.add('a checkpoint', error);
  }

  private get isMeasured(): boolean {
    return this.parts.log.metrics.at(-1)?.step === this.step;
  }

  private get lacksEvaluation(): boolean {
    const { config, evaluator } = this.options;
    return config.metricEvery > 0 && evaluator !== undefined && !this.isMeasured;
  }

  /** An evaluation that an abort kept from being made when it was due. Whether there was one, which is then to be written. */
  private async measureIfMissed(): Promise<boolean> {
    if (this.begun === 0 || !isDue(this.begun, this.options.config.metricEvery) || this.isMeasured)
      return false;
    await this.measure();
    return this.isMeasured;
  }

  private async measure(): Promise<void> {
    const { evaluator, trainer, signal, seconds } = this.options;
    try {
      const values = await evaluator?.evaluate(trainer, { signal });
      if (values) this.parts.log.recordMetrics(this.step, seconds(), values);
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
  }

  private async draw(stopped?: EndTick['stopped']): Promise<string[]> {
    const { history, metrics } = this.parts.log;
    const { step, rate: imagesPerSecond, skipped } = this;
    const { seconds, warnings, config } = this.options;
    const wrote = await this.artifacts.draw({
      step,
      history,
      metrics,
      seconds: seconds(),
      imagesPerSecond,
      skipped,
      warnings: warnings.all,
      stopped,
    });
    const { looks } = this.artifacts;
    const found = looks === undefined ? [] : complaints(looks, step, config.steps);
    for (const { kind, message } of [...found, ...overfitting(history.points, config, step)])
      warnings.repeat(kind, message);
    return wrote;
  }

  /** Steps until something has to be written or judged: a chunk never runs past that. */
  private toNextEvent(): number {
    const { sampleEvery, checkpointEvery, metricEvery, logEvery } = this.options.config;
    const judged = this.parts.rules.needLines ? logEvery : 0;
    const left = [sampleEvery, checkpointEvery, metricEvery, judged]
      .filter((every) => every > 0)
      .map((every) => every - (this.step % every));
    return Math.min(this.lastStep - this.step, ...left);
  }

  /**
   * At the present rate, for a machine may be busy or asleep for a while; with the share that all besides the steps has taken.
   * No more than maxMinutes leaves.
   */
  private secondsLeft(elapsed: number): number {
    const { batchSize, maxMinutes = Number.POSITIVE_INFINITY } = this.options.config;
    const images = (this.lastStep - this.step) * batchSize;
    const besides = Math.max(1, elapsed / Math.max(this.stepSeconds, 1e-9));
    const most = Math.max(0, maxMinutes * 60 - this.options.seconds());
    return Math.min(most, (images / Math.max(this.rate, 1e-9)) * besides);
  }

  private stepsTick(losses: MeanLosses, learningRate: number, began: number): StepsTick {
    const { config, seconds } = this.options;
    const { step, rate, skipped, wrote } = this;
    this.wrote = [];
    return {
      type: 'steps',
      step,
      steps: config.steps,
      images: step * config.batchSize,
      imagesPerSecond: rate,
      seconds: seconds(),
      secondsLeft: this.secondsLeft(seconds() - began),
      secondsPerKimg: 1000 / Math.max(rate, 1e-9),
      losses,
      smoothed: this.smoothed.value,
      metrics: this.parts.log.latest,
      skipped,
      learningRate,
      memory: memoryInUse(),
      wrote,
    };
  }

  private stoppedBy(stop: Stop | undefined): EndTick['stopped'] {
    return this.step >= this.options.config.steps ? 'finished' : (stop?.stopped ?? 'aborted');
  }

  private endTick(stop: Stop | undefined): EndTick {
    const { config, seconds } = this.options;
    const { samples, lossCurve, report } = this.artifacts;
    const { latest: checkpoint, best } = this.checkpoints;
    const metrics = this.parts.log.latest;
    return {
      type: 'end',
      stopped: this.stoppedBy(stop),
      ...(stop !== undefined && { reason: stop.reason }),
      step: this.step,
      steps: config.steps,
      images: this.step * config.batchSize,
      seconds: seconds(),
      ...(Object.keys(metrics).length > 0 && { metrics }),
      ...(checkpoint !== undefined && { checkpoint }),
      ...(best !== undefined && { best }),
      ...(samples !== undefined && { samples }),
      ...(lossCurve !== undefined && { lossCurve }),
      ...(report !== undefined && { report }),
      wrote: this.wrote,
    };
  }
}

const isDue = (step: number, every: number): boolean => every > 0 && step % every === 0;

/** Bytes in use now; the most so far where the system does not tell, as in a chroot without /proc. */
function memoryInUse(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
