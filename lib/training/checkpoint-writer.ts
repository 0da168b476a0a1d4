import { readdir, rm } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import { type Checkpoint, saveCheckpoint } from '../checkpoint/checkpoint.js';
import type { Config } from '../config/schema.js';
import { SanError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import type { NativeTrainer } from '../native.js';
import { firstNonFinite } from './finite.js';
import { type RunFolder, stepOfCheckpoint } from './run-folder.js';
import { bestOf } from './value-course.js';

/** What a checkpoint says besides the trainer's state. */
export type Progress = Pick<Checkpoint, 'seconds' | 'recent' | 'guard'>;

export interface CheckpointWriterOptions {
  trainer: NativeTrainer;
  config: Config;
  folder: RunFolder;
  /** See LoopOptions. */
  requireLock?: (() => Promise<void>) | undefined;
  dataHash: string;
  /** Checkpoint that the run goes on from. */
  latest?: string | undefined;
  /** Damaged files of the run, which the next whole checkpoint replaces. */
  damaged?: readonly string[] | undefined;
  /** What the loss or metric of `keepBest` was at a step. */
  valueAt?: ((step: number) => number | undefined) | undefined;
}

/**
 * Writes a run's checkpoints. Only the copy of the state is waited for; it goes to the disk while training goes on,
 * one file at a time. Older checkpoints are removed once a newer one is safe.
 */
export class CheckpointWriter {
  /** Path of the newest checkpoint on the disk. */
  latest: string | undefined;
  /** Path of the best one by `keepBest`, as of the latest written. */
  best: string | undefined;
  private readonly options: CheckpointWriterOptions;
  private damaged: readonly string[];
  private writing: Promise<void> = Promise.resolve();
  private written: { step: number; path: string }[] = [];
  private failures: unknown[] = [];

  constructor(options: CheckpointWriterOptions) {
    this.options = options;
    this.latest = options.latest;
    this.damaged = options.damaged ?? [];
  }

  /** Copies the state of now and begins to write it, after any file that is still being written. */
  async begin(step: number, progress: Progress): Promise<void> {
    await this.writing;
    const { config, dataHash, folder, trainer } = this.options;
    if (folder.checkpoint(step) === this.latest) {
      // It may have been measured since, and be the best one now.
      if (config.keepBest !== undefined) this.inBackground(this.removeOld(step));
      return;
    }
    const { tensors, skipped } = await trainer.state();
    const images = step * config.batchSize;
    this.inBackground(this.save({ config, step, images, ...progress, dataHash, skipped, tensors }));
  }

  private inBackground(work: Promise<void>): void {
    this.writing = work.catch((error: unknown) => {
      this.failures.push(error);
    });
  }

  /** Until nothing is being written any more. Never rejects: results() tells. */
  settled(): Promise<void> {
    return this.writing;
  }

  /** What was written and what went wrong since the last call. */
  results(): { wrote: string[]; steps: number[]; failures: unknown[] } {
    const { written, failures } = this;
    this.written = [];
    this.failures = [];
    return { wrote: written.map(({ path }) => path), steps: written.map(({ step }) => step), failures };
  }

  /** Refuses tensors that have gone bad, so that every file is a good one. */
  private async save(checkpoint: Checkpoint): Promise<void> {
    const { step, tensors } = checkpoint;
    const bad = await firstNonFinite(tensors);
    if (bad !== undefined) {
      throw new SanError(
        'ERR_SAN_NON_FINITE',
        `tensor ${bad} holds a value that is not finite at step ${step}; training stopped, earlier checkpoints are unharmed`,
        { field: bad },
      );
    }
    const { folder, requireLock } = this.options;
    const path = folder.checkpoint(step);
    await requireLock?.();
    await saveCheckpoint(path, checkpoint);
    // To write it may have taken long, and what another run has there is not for this one to remove.
    await requireLock?.();
    this.latest = path;
    this.written.push({ step, path });
    await this.removeOld(step);
    const replaced = this.damaged.filter((path) => basename(path) !== basename(folder.checkpoint(step)));
    this.damaged = [];
    await removeAll(replaced);
  }

  /** Leaves alone what is newer than `step`, which is damaged or of another course of the run. */
  private async removeOld(step: number): Promise<void> {
    const { config, folder } = this.options;
    const names = await readdir(folder.checkpoints).catch(() => []);
    const steps = names
      .flatMap((name) => stepOfCheckpoint(name) ?? [])
      .filter((other) => other <= step)
      .filter((other) => !this.damaged.includes(folder.checkpoint(other)) || other === step);
    const best = await this.noteBest(steps);
    const old = stepsToRemove(steps, config)
      .filter((other) => other !== best)
      .map((other) => folder.checkpoint(other));
    await removeAll(old);
  }

  /** Writes down which checkpoint is the best by `keepBest`; gives its step. */
  private async noteBest(steps: readonly number[]): Promise<number | undefined> {
    const { config, folder, valueAt } = this.options;
    if (config.keepBest === undefined || valueAt === undefined) return undefined;
    const best = bestOf(steps, config.keepBest, valueAt);
    if (best === undefined) return undefined;
    const note = {
      ...best,
      name: config.keepBest,
      checkpoint: relative(folder.path, folder.checkpoint(best.step)),
    };
    this.best = folder.checkpoint(best.step);
    await writeFileAtomic(folder.best, [`${JSON.stringify(note, null, 2)}\n`]);
    return best.step;
  }
}

/** One that cannot be removed takes up room and does no other harm. */
async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true }).catch(() => {});
}

/** Which of some checkpoints, by their steps, are kept neither as one of the last nor as one of every so many steps. */
export function stepsToRemove(
  steps: readonly number[],
  { keepLast, keepEvery }: Pick<Config, 'keepLast' | 'keepEvery'>,
): number[] {
  if (keepLast === 0) return [];
  const older = steps.toSorted((a, b) => b - a).slice(keepLast);
  return older.filter((step) => keepEvery === 0 || step % keepEvery !== 0);
}
