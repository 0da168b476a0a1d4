/** Taking up a run again: its config, its newest whole checkpoint, and what must not differ. */
import { type LoadedCheckpoint, loadCheckpoint } from '../checkpoint/checkpoint.js';
import { readConfigFile } from '../config/file.js';
import { type ConfigLayer, resolveConfig } from '../config/resolve.js';
import { type Config, type ConfigKey, configSchema, keyGroups } from '../config/schema.js';
import { CheckpointError, ConfigError, DataError } from '../errors.js';
import type { Addon } from '../native.js';
import type { RunFolder } from './run-folder.js';

export interface FoundRun {
  config: Config;
  /** Absent when the run was ended before its first checkpoint. */
  checkpoint?: LoadedCheckpoint;
}

/** Settings of a run that may differ from its beginning: they do not change what a step computes. */
const CHANGEABLE = new Set(
  [keyGroups.Run, keyGroups.Stopping, keyGroups.Metrics]
    .flatMap((keys) => Object.keys(keys))
    .filter((key) => key !== 'batchSize' && key !== 'seed' && key !== 'precision'),
);

/**
 * The run in `folder`, with `layers` of settings over its own. Throws ConfigError when they contradict it, and
 * CheckpointError when it has checkpoints, but none is whole.
 */
export async function findRun(
  folder: RunFolder,
  layers: readonly ConfigLayer[],
  addon: Pick<Addon, 'parameters'>,
): Promise<FoundRun> {
  const frozen = await readConfigFile(folder.config);
  const given = layers
    .flatMap(({ values }) => Object.entries(values))
    .filter(([, value]) => value !== undefined);
  // Resolved: a run of an older version lacks keys that have come since, and has what they are by default.
  const begun = resolveConfig([frozen]);
  refuseChanges(begun, { ...begun, ...Object.fromEntries(given) }, `the run in ${folder.path} has`);
  const config = resolveConfig([frozen, ...layers]);
  try {
    const checkpoint = await loadCheckpoint(folder.path, addon);
    refuseChanges(checkpoint.config, config, `${checkpoint.path} was made with`);
    return { config, checkpoint };
  } catch (error) {
    if (error instanceof CheckpointError && error.code === 'ERR_SAN_CHECKPOINT_NOT_FOUND') return { config };
    throw error;
  }
}

/**
 * Names the first setting that is not what it was, with both values; one that only one of the two has was changed as well.
 * What is no setting is for the schema to refuse.
 */
function refuseChanges(
  before: Config,
  now: Readonly<Partial<Record<ConfigKey, unknown>>>,
  owner: string,
): void {
  const stated = (key: ConfigKey, value: unknown) =>
    value === undefined ? `no ${key}` : `${key} = ${JSON.stringify(value)}`;
  for (const key of Object.keys(configSchema.shape) as ConfigKey[]) {
    const [old, value] = [before[key], now[key]];
    if (CHANGEABLE.has(key) || JSON.stringify(old) === JSON.stringify(value)) continue;
    throw new ConfigError(
      `${stated(key, value)}: ${owner} ${stated(key, old)}, which cannot change in a run; leave it as it was, or begin a new run`,
      { field: key, value },
    );
  }
}

/** Throws DataError when a run was begun on other images. */
export function requireSameData(
  data: string,
  hash: string,
  { path, dataHash }: Pick<LoadedCheckpoint, 'path' | 'dataHash'>,
): void {
  if (hash === dataHash) return;
  throw new DataError(
    'ERR_SAN_DATA_CHANGED',
    `the images of ${data} are not those that ${path} was trained on (hash ${hash.slice(0, 12)}, was ${dataHash.slice(0, 12)}); name the same data, or begin a new run`,
    { path: data, field: 'data' },
  );
}
