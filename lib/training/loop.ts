import type { GuardState, LossSums } from '../checkpoint/metadata.js';
import type { Config } from '../config/schema.js';
import type { Evaluator } from '../metrics/evaluator.js';
import type { Addon, ImageBatch, NativeTrainer, TrainerState } from '../native.js';
import { Guard } from './guard.js';
import { rollBack } from './roll-back.js';
import type { RunFolder } from './run-folder.js';
import { Section } from './section.js';
import type { EndTick, NoteTick, StepsTick } from './ticks.js';
import { Warnings } from './warnings.js';

/** Where a run goes on that is continued. */
export interface StartingPoint {
  step: number;
  seconds: number;
  recent: LossSums;
  guard: GuardState;
  skipped: number;
  /** The checkpoint's path. */
  path: string;
  /** Newer files that could not be used. */
  damaged: readonly { path: string }[];
}

export interface LoopOptions {
  /** Its steps done are those of `from`. */
  trainer: NativeTrainer;
  addon: Pick<Addon, 'latents' | 'parameters'>;
  config: Config;
  folder: RunFolder;
  /** Called before something is written there. Throws LockLost when another run has taken it over, which ends this one. */
  requireLock?: (() => Promise<void>) | undefined;
  dataHash: string;
  /** Real images to be reconstructed: ArtifactsOptions. */
  images: ImageBatch;
  /** Measures the metrics; absent in runs without. */
  evaluator?: Pick<Evaluator, 'evaluate' | 'dispose'> | undefined;
  from?: StartingPoint | undefined;
  /** State that the run began with, when not with the seed's initial values. */
  initialState?: (() => Promise<TrainerState | undefined>) | undefined;
  signal?: AbortSignal | undefined;
  /** Asked after each chunk: whether to write a checkpoint now, besides those that are due. */
  checkpointWanted?: (() => boolean) | undefined;
}

/**
 * Takes the steps of a run, chunk by chunk, and writes samples, checkpoints, metrics and curves on their steps and at
 * the end. An abort lets the step under way end and is then treated like the end of the run.
 *
 * When three steps in a row are not finite it goes back to the newest whole checkpoint with half the learning rate; on
 * the same again it throws ERR_SAN_NON_FINITE. ERR_SAN_OUT_OF_MEMORY names the settings to lower.
 */
export async function* trainingLoop(
  options: LoopOptions,
): AsyncGenerator<NoteTick | StepsTick | EndTick, void, void> {
  const { trainer, signal } = options;
  let { from } = options;
  let guard = new Guard(from?.guard);
  // The checkpoint was saved before the run that wrote it knew that it is safe.
  if (from !== undefined) guard.passed(from.step);
  const warnings = new Warnings();
  const start = performance.now();
  const before = from?.seconds ?? 0;
  const seconds = () => before + (performance.now() - start) / 1000;
  const interrupt = () => trainer.interrupt();
  signal?.addEventListener('abort', interrupt);
  try {
    for (;;) {
      const section = await Section.open({ ...options, from, guard, warnings, seconds });
      const failure = yield* section.run();
      if (failure === undefined) return;
      const back = await rollBack(options, guard, failure);
      ({ from, guard } = back);
      warnings.tell(back.message);
      yield* warnings.take();
    }
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}
