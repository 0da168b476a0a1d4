/** Profiles some steps of a training run, once the first ones are over. */
import { OutputError } from '../errors.js';
import type { Addon, Device, NativeTrainer, Precision, StepReport, StepSchedule } from '../native.js';
import type { NoteTick } from '../training/ticks.js';
import { type Profile, writeProfile } from './profile.js';

/** Memory is still being taken and kernels are chosen in the first steps. */
export const WARM_UP = 3;
const PROFILED = 10;

export interface StepProfilerOptions {
  addon: Pick<Addon, 'startProfile' | 'stopProfile' | 'measurePeak'>;
  path: string;
  /** Floating-point operations of a step. */
  flops: number;
  threads: number | undefined;
  /** Where the steps are taken, and in what precision. */
  device: Device;
  precision: Precision;
  /** Steps before those that are recorded; default 3. */
  warmUp?: number;
  onProfile?: ((profile: Profile) => void) | undefined;
}

type Run = NativeTrainer['run'];

/** Watches a trainer's run(): ten steps after the warm-up are recorded, then the trace is written. */
export class StepProfiler {
  private readonly options: StepProfilerOptions;
  private readonly warmUp: number;
  private taken = 0;
  private isRecording = false;
  private readonly pending: NoteTick[] = [];

  constructor(options: StepProfilerOptions) {
    this.options = options;
    this.warmUp = options.warmUp ?? WARM_UP;
  }

  /** Puts itself in the place of the trainer's run(). */
  watch(trainer: NativeTrainer): void {
    const run: Run = trainer.run.bind(trainer);
    // The addon's own property is read-only.
    Object.defineProperty(trainer, 'run', { value: (options: Parameters<Run>[0]) => this.run(run, options) });
  }

  /** Remarks that were not taken yet; at the end of the run one that says so when it was too short. */
  notes(): NoteTick[] {
    return this.pending.splice(0);
  }

  get isDone(): boolean {
    return this.taken >= this.warmUp + PROFILED;
  }

  private async run(run: Run, { steps, schedule }: Parameters<Run>[0]): Promise<StepReport> {
    const whole = this.piece(steps);
    let report = await this.runPiece(run, whole, slice(schedule, 0, whole));
    for (let done = whole; done < steps && report.losses.length === done; ) {
      const size = this.piece(steps - done);
      report = joined(report, await this.runPiece(run, size, slice(schedule, done, done + size)));
      done += size;
    }
    return report;
  }

  /** Steps that may be taken at once: all of them recorded, or none. */
  private piece(steps: number): number {
    if (this.isDone) return steps;
    const { warmUp, taken } = this;
    return Math.min(steps, (taken < warmUp ? warmUp : warmUp + PROFILED) - taken);
  }

  private async runPiece(run: Run, steps: number, schedule: StepSchedule | undefined): Promise<StepReport> {
    const { addon } = this.options;
    if (this.taken === this.warmUp) {
      await addon.startProfile();
      this.isRecording = true;
    }
    const report = await run(schedule ? { steps, schedule } : { steps });
    this.taken += report.losses.length;
    if (this.isRecording && this.isDone) await this.write(report.step);
    return report;
  }

  private async write(lastStep: number): Promise<void> {
    const { addon, path, flops, threads, device, precision, onProfile } = this.options;
    const what = `steps ${lastStep - PROFILED + 1} to ${lastStep}`;
    this.isRecording = false;
    const recorded = await addon.stopProfile();
    try {
      const work = { flops: PROFILED * flops, threads, device, precision };
      const written = await writeProfile(addon, recorded, { path, what, ...work });
      this.pending.push({ type: 'note', level: 'info', message: `profile of ${what} in ${path}` });
      onProfile?.(written);
    } catch (error) {
      // Training is worth more than its profile.
      if (!(error instanceof OutputError)) throw error;
      this.pending.push({ type: 'note', level: 'warning', message: `no profile: ${error.message}` });
    }
  }

  /** To be called whatever ends the run: what is recorded now is given up. Idempotent. */
  async stop(): Promise<void> {
    if (!this.isRecording) return;
    this.isRecording = false;
    await this.options.addon.stopProfile();
  }

  /** To be called when the run ends in order: one shorter than the warm-up and what is recorded has no profile. */
  async end(): Promise<NoteTick[]> {
    if (this.isDone) return this.notes();
    await this.stop();
    const message = `no profile: that takes ${this.warmUp + PROFILED} steps, and ${this.taken} were taken`;
    return [...this.notes(), { type: 'note', level: 'warning', message }];
  }
}

function slice(schedule: StepSchedule | undefined, from: number, to: number): StepSchedule | undefined {
  if (schedule === undefined) return undefined;
  const part = Object.entries(schedule).map(([name, values]) => [
    name,
    (values as Float64Array).subarray(from, to),
  ]);
  return Object.fromEntries(part) as StepSchedule;
}

const joined = (a: StepReport, b: StepReport): StepReport => ({
  step: b.step,
  losses: [...a.losses, ...b.losses],
  skipped: [...a.skipped, ...b.skipped],
  seconds: a.seconds + b.seconds,
  warnings: [...a.warnings, ...b.warnings],
  stopRequested: a.stopRequested || b.stopRequested,
  checkpointRequested: a.checkpointRequested || b.checkpointRequested,
});
