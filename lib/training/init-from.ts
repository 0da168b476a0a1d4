/**
 * A run that begins from the weights of another one. Its init.json says which they were and what did not match, so
 * that it can begin from them again: after a kill before its first checkpoint, or on a roll-back to its start.
 */
import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { loadCheckpoint } from '../checkpoint/checkpoint.js';
import { type Config, modelOptions } from '../config/schema.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { fileErrorReason, writeFileAtomic } from '../files.js';
import type { Addon, NativeTensor, TrainerState } from '../native.js';
import type { NoteTick } from './ticks.js';
import { trainerOptions } from './trainer-options.js';

const FILE = 'init.json';
/** Mismatches that are told as notes; init.json has them all. */
const SHOWN = 3;

const shape = z.array(z.int().min(0)).nullable();

const recordSchema = z.object({
  /** Run folder or checkpoint as named by the user, and the checkpoint that was read: absolute paths. */
  initFrom: z.string(),
  checkpoint: z.string(),
  /** Steps that the checkpoint was trained for. */
  step: z.int().min(0),
  /** The checkpoint's own checksum. */
  checksum: z.string(),
  /** Parameters of the new model, and how many of them began from the checkpoint. */
  parameters: z.int().min(1),
  matched: z.int().min(1),
  /** The others, with their shape in the new model and in the checkpoint; null where there is no such parameter. */
  mismatched: z.array(z.object({ name: z.string(), expected: shape, found: shape })),
});

export type InitRecord = z.output<typeof recordSchema>;
type Mismatch = InitRecord['mismatched'][number];

/** Weights to begin from, compared with the model of the new run. */
export interface InitialWeights {
  record: InitRecord;
  /** Parameters whose names and shapes are those of the new model. */
  tensors: NativeTensor[];
  /** Newer checkpoints of the source that could not be used. */
  damaged: readonly { reason: string }[];
}

interface Source {
  config: Config;
  addon: Addon;
}

/**
 * Reads the raw parameters, not their moving average, of a run folder's newest checkpoint or of a checkpoint file.
 * Throws CheckpointError, ERR_SAN_CHECKPOINT_MISMATCH when not one of them fits.
 */
export async function readInitialWeights(
  initFrom: string,
  { config, addon }: Source,
): Promise<InitialWeights> {
  const { path, step, checksum, damaged, tensors } = await loadCheckpoint(initFrom, addon);
  const given = new Map(
    tensors.filter(({ name }) => /^(kernel|generator|reverser)\./.test(name)).map((t) => [t.name, t]),
  );
  const wanted = addon.parameters(modelOptions(config));
  const matched: NativeTensor[] = [];
  const mismatched: Mismatch[] = [];
  for (const { name, shape } of wanted) {
    const found = given.get(name);
    if (found?.shape.join() === shape.join()) matched.push(found);
    else mismatched.push({ name, expected: shape, found: found?.shape ?? null });
    given.delete(name);
  }
  for (const { name, shape } of given.values()) mismatched.push({ name, expected: null, found: shape });
  if (matched.length === 0) {
    throw new CheckpointError(
      'ERR_SAN_CHECKPOINT_MISMATCH',
      `no parameter of ${path} fits the model of this run (${mismatched.slice(0, 1).map(inWords).join()}); choose settings like those it was made with`,
      { path, field: 'initFrom' },
    );
  }
  const record = {
    initFrom: resolve(initFrom),
    checkpoint: resolve(path),
    step,
    checksum,
    parameters: wanted.length,
    matched: matched.length,
    mismatched,
  };
  return { record, tensors: matched, damaged };
}

/** Writes init.json, or removes the one of a run that was never begun. To be done before the folder holds a run. */
export async function writeInitRecord(
  folder: { path: string },
  weights: InitialWeights | undefined,
): Promise<string[]> {
  const path = join(folder.path, FILE);
  if (weights === undefined) {
    await rm(path, { force: true });
    return [];
  }
  await writeFileAtomic(path, [`${JSON.stringify(weights.record, null, 2)}\n`]);
  return [path];
}

/** What there is to say about the weights that a run begins from: how many fit, and the first of those that do not. */
export function initNotes({ record, damaged }: InitialWeights, folder: { path: string }): NoteTick[] {
  const { checkpoint, step, matched, parameters, mismatched } = record;
  const warning = (message: string): NoteTick => ({ type: 'note', level: 'warning', message });
  const left = mismatched.length - SHOWN;
  return [
    ...damaged.map(({ reason }) => warning(`passed over a damaged checkpoint: ${reason}`)),
    {
      type: 'note',
      level: 'info',
      message: `beginning from ${checkpoint} (step ${step}): ${matched} of ${parameters} parameters match`,
    },
    ...mismatched.slice(0, SHOWN).map((mismatch) => warning(inWords(mismatch))),
    ...(left > 0 ? [warning(`and ${left} more, all listed in ${join(folder.path, FILE)}`)] : []),
  ];
}

function inWords({ name, expected, found }: Mismatch): string {
  const text = (sizes: readonly number[]) => `[${sizes.join(', ')}]`;
  if (found === null) return `${name} is not in the checkpoint and keeps its initial values`;
  if (expected === null) return `${name} is not in this model and is left out`;
  return `${name} is ${text(expected)} here and ${text(found)} in the checkpoint; it keeps its initial values`;
}

interface ContinuedOptions extends Source {
  /** Folder of the run. */
  folder: { path: string };
  /** What the user says that it began from, if anything. */
  initFrom?: string | undefined;
  /** Whether the run has a checkpoint of its own; the weights are then not read. */
  begun: boolean;
}

/**
 * The weights that the run in `folder` began from; undefined when it began from none, or is past that.
 * Throws ConfigError when `initFrom` is something else, and CheckpointError when the weights are gone or changed.
 */
export async function continuedWeights(options: ContinuedOptions): Promise<InitialWeights | undefined> {
  const { folder, initFrom, begun, config, addon } = options;
  const record = await readInitRecord(folder);
  const path = initFrom === undefined ? record?.checkpoint : await agreedSource(record, options, initFrom);
  if (record === undefined || path === undefined || begun) return undefined;
  const weights = await readInitialWeights(path, { config, addon }).catch((error: unknown) => {
    if (!(error instanceof CheckpointError) || error.code !== 'ERR_SAN_CHECKPOINT_NOT_FOUND') throw error;
    const where = `the run in ${folder.path} began from ${path}, which is gone`;
    throw new CheckpointError(
      error.code,
      `${where}; name a copy of it with --init-from (in the API initFrom), or begin a new run`,
      { path, field: 'initFrom' },
      { cause: error },
    );
  });
  if (weights.record.checksum !== record.checksum) {
    throw new CheckpointError(
      'ERR_SAN_CHECKPOINT_MISMATCH',
      `${path} is not what the run in ${folder.path} began from: its checksum is another; name a copy of the old one with --init-from (in the API initFrom), or begin a new run`,
      { path, field: 'initFrom' },
    );
  }
  return { ...weights, record };
}

/** The path to read: the recorded one, or another one with the same content. */
async function agreedSource(
  record: InitRecord | undefined,
  { folder, addon }: ContinuedOptions,
  initFrom: string,
): Promise<string> {
  const fail = (fact: string) =>
    new ConfigError(
      `initFrom = ${JSON.stringify(initFrom)}: the run in ${folder.path} ${fact}, which cannot change in a run; leave it as it was, or begin a new run`,
      { field: 'initFrom', value: initFrom },
    );
  if (record === undefined) throw fail('did not begin from weights');
  if ([record.initFrom, record.checkpoint].includes(resolve(initFrom))) return record.checkpoint;
  const found = await loadCheckpoint(initFrom, addon).catch((error: unknown) => {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  });
  if (found?.checksum !== record.checksum) throw fail(`began from ${record.checkpoint}`);
  return found.path;
}

async function readInitRecord(folder: { path: string }): Promise<InitRecord | undefined> {
  const path = join(folder.path, FILE);
  const fail = (reason: string) =>
    new ConfigError(`${path} does not say what the run began from: ${reason}; begin a new run`, { path });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fail(fileErrorReason(error));
  }
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    throw fail('it is not as san-native wrote it');
  }
}

/**
 * The state of a run before its first step, when it began from weights; undefined when it began from its seed alone.
 * Reads the weights again, so it throws what continuedWeights() throws.
 */
export async function initialState(
  options: Source & { folder: { path: string } },
): Promise<TrainerState | undefined> {
  const weights = await continuedWeights({ ...options, begun: false });
  return weights && stateFrom(weights, options);
}

/** Every parameter: from the weights where they match, otherwise the seed's initial values. */
export async function stateFrom(
  { tensors, record }: InitialWeights,
  { config, addon }: Source,
): Promise<TrainerState> {
  if (tensors.length === record.parameters) return { step: 0, skipped: 0, tensors };
  const given = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const names = new Set(addon.parameters(modelOptions(config)).map(({ name }) => name));
  const trainer = await addon.createTrainer(trainerOptions(config, addon));
  try {
    const initial = (await trainer.state()).tensors.filter(({ name }) => names.has(name));
    return { step: 0, skipped: 0, tensors: initial.map((tensor) => given.get(tensor.name) ?? tensor) };
  } finally {
    await trainer.dispose();
  }
}
