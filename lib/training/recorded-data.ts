/** What a run was trained on, as it was recorded. */
import { basename, dirname, join } from 'node:path';
import { refuseOverInput } from '../output-place.js';
import { readSessions } from './environment.js';

/**
 * Where the training images of the run that a checkpoint lies in were, as the latest session named them: an absolute path.
 * undefined where the checkpoint is in no run folder, or that does not say. Throws OutputError.
 */
export async function recordedData(checkpoint: string): Promise<string | undefined> {
  const folder = dirname(checkpoint);
  if (basename(folder) !== 'checkpoints') return undefined;
  const sessions = await readSessions(join(dirname(folder), 'environment.json'));
  return sessions.at(-1)?.data.path;
}

/** Throws OutputError when drawn images at `out` would replace or join the images that the network was trained on. */
export async function refuseOverTrainingData(
  out: string,
  checkpoint: string,
  field: string,
  becomesData?: boolean,
): Promise<void> {
  // A record that cannot be read forbids nothing.
  const data = await recordedData(checkpoint).catch(() => undefined);
  if (data !== undefined) await refuseOverInput(out, data, field, becomesData);
}
