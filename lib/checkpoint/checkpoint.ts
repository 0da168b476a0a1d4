/**
 * A training run's state as one safetensors file: tensors under the names of spec section 5 and AdamW's moments;
 * as metadata the format, its version, the counters, the config and a checksum over the whole file.
 */
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { resolveConfig } from '../config/resolve.js';
import { type Config, modelOptions } from '../config/schema.js';
import { CheckpointError, ConfigError, OutputError } from '../errors.js';
import { fileErrorReason, writeFileAtomic } from '../files.js';
import type { Addon, NativeTensor, TrainerState } from '../native.js';
import { CHECKSUM_KEY, isSealed, seal, UNSEALED } from './checksum.js';
import { FORMAT, type GuardState, type LossSums, metadataSchema, VERSION } from './metadata.js';
import { encodeSafetensors, readSafetensors } from './safetensors.js';

export interface Checkpoint {
  config: Config;
  /** Steps done. */
  step: number;
  /** Images seen. */
  images: number;
  /** Seconds trained. */
  seconds: number;
  /** SHA-256 of the images trained on. */
  dataHash: string;
  /** Sums over the latest steps, those that a line of metrics.jsonl is still to sum up. */
  recent: LossSums;
  /** Steps skipped, for something in them was not finite. */
  skipped: number;
  guard: GuardState;
  tensors: NativeTensor[];
}

/** Looks at a run folder while its checkpoints go as they are about to be read. */
const MOST_LOOKS = 10;

/** A checkpoint that was passed over, and what was wrong with it. */
export interface DamagedCheckpoint {
  path: string;
  reason: string;
}

/** A checkpoint as found on disk. */
export interface LoadedCheckpoint extends Checkpoint {
  path: string;
  /** Of the file. */
  bytes: number;
  /** SHA-256 that the file carries, and that its content was found to have. */
  checksum: string;
  /** Newer checkpoints of the run that were damaged, and what was wrong with them. */
  damaged: DamagedCheckpoint[];
}

/** Writes the file whole or not at all; other work gets its turn meanwhile. Throws OutputError. */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { config, step, images, seconds, dataHash, recent, skipped, guard, tensors } = checkpoint;
  const metadata = {
    format: FORMAT,
    version: VERSION,
    step: String(step),
    images: String(images),
    config: JSON.stringify(config),
    seconds: seconds.toFixed(3),
    data: dataHash,
    recent: JSON.stringify(recent),
    skipped: String(skipped),
    guard: JSON.stringify(guard),
    [CHECKSUM_KEY]: UNSEALED,
  };
  const [header, ...data] = encodeSafetensors(tensors, metadata);
  await seal(header, data);
  await writeFileAtomic(path, [header, ...data]);
}

/**
 * Loads a checkpoint file, or the newest whole one of a run folder, and checks it against the model that its config
 * describes. The run may go on meanwhile: where a checkpoint was replaced by a newer one, that is loaded. Throws
 * CheckpointError: ERR_SAN_CHECKPOINT_NOT_FOUND when there is none, _FORMAT (damaged or not a checkpoint) or _MISMATCH,
 * naming the first wrong tensor and both shapes; OutputError when the folder cannot be read.
 */
export async function loadCheckpoint(
  runOrFile: string,
  addon: Pick<Addon, 'parameters'>,
): Promise<LoadedCheckpoint> {
  for (let look = 1; ; look++) {
    const found = await newestWhole(runOrFile, addon, look === MOST_LOOKS);
    if (found !== undefined) return found;
  }
}

/** Undefined when a checkpoint has gone since the folder was read, unless such a one is to be passed over. */
async function newestWhole(
  runOrFile: string,
  addon: Pick<Addon, 'parameters'>,
  passOverGone: boolean,
): Promise<LoadedCheckpoint | undefined> {
  const damaged: DamagedCheckpoint[] = [];
  for (const path of await candidates(runOrFile)) {
    try {
      const checkpoint = await readCheckpoint(path);
      checkTensors(path, checkpoint, addon);
      return { ...checkpoint, path, damaged };
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      if (error.code === 'ERR_SAN_CHECKPOINT_NOT_FOUND' && path !== runOrFile) {
        // A name that stays leads nowhere: a link whose target is gone.
        const stays = await lstat(path).then(
          () => true,
          () => false,
        );
        if (!stays && !passOverGone) return undefined;
        damaged.push({ path, reason: stays ? `${path} is a link that leads nowhere` : error.message });
      } else if (error.code === 'ERR_SAN_CHECKPOINT_FORMAT') damaged.push({ path, reason: error.message });
      else throw error;
    }
  }
  const [newest] = damaged;
  throw new CheckpointError(
    'ERR_SAN_CHECKPOINT_FORMAT',
    damaged.length === 1
      ? `${newest?.reason}`
      : `none of the ${damaged.length} checkpoints in ${runOrFile} can be read; the newest: ${newest?.reason}`,
    { path: newest?.path ?? runOrFile },
  );
}

/** The file itself, or a run folder's checkpoints, newest first; at least one. */
async function candidates(runOrFile: string): Promise<string[]> {
  const notFound = (message: string) =>
    new CheckpointError('ERR_SAN_CHECKPOINT_NOT_FOUND', message, { path: runOrFile });
  const found = await unlessMissing(runOrFile, stat(runOrFile));
  if (found === undefined) throw notFound(`there is no run folder or checkpoint at ${runOrFile}`);
  if (!found.isDirectory()) return [runOrFile];
  const folder = join(runOrFile, 'checkpoints');
  const names = (await unlessMissing(folder, readdir(folder))) ?? [];
  const steps = names.flatMap((name) => {
    const step = /^step-(\d+)\.safetensors$/.exec(name)?.[1];
    return step === undefined ? [] : [{ name, step: Number(step) }];
  });
  if (steps.length === 0) {
    throw notFound(
      `${runOrFile} is not a run folder with a checkpoint: nothing like ${join(folder, 'step-*.safetensors')}`,
    );
  }
  return steps.sort((a, b) => b.step - a.step).map(({ name }) => join(folder, name));
}

/** Undefined when nothing is at `path`. What cannot be looked at may well be there: throws OutputError. */
async function unlessMissing<T>(path: string, looking: Promise<T>): Promise<T | undefined> {
  return looking.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw new OutputError(`cannot read ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
  });
}

async function readCheckpoint(path: string): Promise<Checkpoint & { checksum: string; bytes: number }> {
  const { metadata, tensors, header, bytes } = await readSafetensors(path);
  const bad = (reason: string, cause?: unknown) =>
    new CheckpointError(
      'ERR_SAN_CHECKPOINT_FORMAT',
      `${path} is not a san-native checkpoint: ${reason}`,
      { path },
      { cause },
    );
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) {
    const key = String(parsed.error.issues[0]?.path[0]);
    const value = metadata[key];
    throw bad(
      value === undefined
        ? `its metadata lacks "${key}"`
        : `its metadata has ${key} = "${value.slice(0, 80)}"`,
    );
  }
  const { step, images, seconds, data: dataHash, recent, skipped, guard, checksum } = parsed.data;
  const data = tensors.map((tensor) => tensor.data);
  if (!(await isSealed(header, data, checksum))) {
    const reason = 'its content is not what its checksum was taken of';
    throw new CheckpointError('ERR_SAN_CHECKPOINT_FORMAT', `${path} is damaged: ${reason}`, { path });
  }
  try {
    const values: unknown = JSON.parse(parsed.data.config);
    const config = resolveConfig([{ source: 'its config', values: values as Record<string, unknown> }]);
    return { config, step, images, seconds, dataHash, recent, skipped, guard, tensors, checksum, bytes };
  } catch (error) {
    if (error instanceof ConfigError) throw bad(error.message, error);
    if (error instanceof SyntaxError || error instanceof TypeError)
      throw bad('its config is not JSON', error);
    throw error;
  }
}

/** Every parameter must be there with its shape; so must the moving average's, when it is there at all. */
function checkTensors(path: string, { config, tensors }: Checkpoint, addon: Pick<Addon, 'parameters'>): void {
  const shapes = new Map(tensors.map((tensor) => [tensor.name, tensor.shape]));
  const parameters = addon.parameters(modelOptions(config));
  const averaged = tensors.some(({ name }) => name.startsWith('ema.'));
  const expected = [
    ...parameters,
    ...parameters
      .filter(({ name }) => averaged && !name.startsWith('reverser.'))
      .map(({ name, shape }) => ({ name: `ema.${name}`, shape })),
  ];
  for (const { name, shape } of expected) {
    const found = shapes.get(name);
    if (found !== undefined && found.join() === shape.join()) continue;
    const fault =
      found === undefined
        ? `lacks tensor ${name} of shape [${shape.join(', ')}]`
        : `has tensor ${name} of shape [${found.join(', ')}] where its config asks for [${shape.join(', ')}]`;
    throw new CheckpointError('ERR_SAN_CHECKPOINT_MISMATCH', `${path} ${fault}`, { path, field: name });
  }
}

/** The tensors that inference needs: parameters and their moving average, without the optimizer's moments. */
export const networkTensors = (tensors: readonly NativeTensor[]): NativeTensor[] =>
  tensors.filter(({ name }) => /^(ema\.)?(kernel|generator|reverser)\./.test(name));

/** What a trainer goes on from. */
export const stateOf = ({ step, skipped, tensors }: Checkpoint): TrainerState => ({ step, skipped, tensors });
