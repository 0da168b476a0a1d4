import { type LoadedCheckpoint, loadCheckpoint, stateOf } from '../checkpoint/checkpoint.js';
import { CheckpointError } from '../errors.js';
import { type Failure, type Guard, PATIENCE } from './guard.js';
import type { LoopOptions, StartingPoint } from './loop.js';

export interface RolledBack {
  /** Absent when the run begins again. */
  from: StartingPoint | undefined;
  guard: Guard;
  /** What happened, in one line. */
  message: string;
}

/**
 * Puts the trainer back to the newest whole checkpoint of the run, or to its beginning where there is none. Throws
 * ERR_SAN_NON_FINITE when that was done for the same failure already.
 */
export async function rollBack(
  { folder, addon, trainer, initialState, config }: LoopOptions,
  guard: Guard,
  failure: Failure,
): Promise<RolledBack> {
  const checkpoint = await newestWhole(folder.path, addon);
  const next = guard.rollBack(failure, checkpoint?.guard);
  const state = checkpoint ? stateOf(checkpoint) : await initialState?.();
  await trainer.restore({ ...(state && { state }) });
  const to = checkpoint ? `step ${checkpoint.step}, ${checkpoint.path},` : 'the beginning';
  const rate = config.learningRate * next.state.learningRateScale;
  const message = `${failure.what} was not finite, and so ${PATIENCE} steps in a row up to step ${failure.step} were skipped; went back to ${to} with the learning rate halved to ${rate}`;
  return { from: checkpoint && startingPoint(checkpoint), guard: next, message };
}

/** What the loop needs of a checkpoint. */
export const startingPoint = (checkpoint: LoadedCheckpoint): StartingPoint => {
  const { step, seconds, recent, guard, skipped, path, damaged } = checkpoint;
  return { step, seconds, recent, guard, skipped, path, damaged };
};

async function newestWhole(
  folder: string,
  addon: LoopOptions['addon'],
): Promise<LoadedCheckpoint | undefined> {
  try {
    return await loadCheckpoint(folder, addon);
  } catch (error) {
    if (error instanceof CheckpointError && error.code !== 'ERR_SAN_CHECKPOINT_MISMATCH') return undefined;
    throw error;
  }
}
