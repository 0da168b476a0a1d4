/** The part of every rank but 0 in a run: it computes, writes nothing and says nothing. */
import { resolveConfig } from '../config/resolve.js';
import type { Config } from '../config/schema.js';
import { openData } from '../data/dataset.js';
import { SanError } from '../errors.js';
import { needsExtractor } from '../metrics/catalogue.js';
import { FeatureExtractor } from '../metrics/features.js';
import type { Addon } from '../native.js';
import { faultsOf } from '../training/faults.js';
import { trainerOptions } from '../training/trainer-options.js';
import type { Team } from './team.js';

/** Milliseconds between two looks at whether a checkpoint is wanted. */
const LOOK = 200;

export interface FollowOptions {
  data: string;
  signal?: AbortSignal | undefined;
  /** Asked several times a second: whether to ask rank 0 for a checkpoint. */
  checkpointWanted?: (() => boolean) | undefined;
}

/** Does what rank 0 says, until that is over. An abort ends the run on all ranks, in good order once it trains. */
export async function followRun(team: Team, addon: Addon, options: FollowOptions): Promise<void> {
  const { data, signal, checkpointWanted } = options;
  const first = await team.listen();
  if (first.type !== 'prepare') return;
  const config = resolveConfig([{ source: 'rank 0', values: first.config }]);
  const { path, hash } = await openData(data, config, { signal }).catch((error: unknown) => {
    if (signal?.aborted) throw new SanError('ERR_SAN_RANK_LOST', 'ended by a signal before training began');
    throw error;
  });
  if ((await team.listen()).type !== 'train') return;
  await team.compareData(data, hash);
  const extractor = await extractorOf(config, addon);
  const faults = faultsOf(process.env);
  const trainer = await addon
    .createTrainer({
      ...trainerOptions(config, addon, team.localRank),
      dataset: { path },
      ...(faults && { faults }),
      group: team.group,
    })
    .catch(async (error: unknown) => {
      await extractor?.dispose();
      throw error;
    });
  const interrupt = () => trainer.interrupt();
  if (signal?.aborted) interrupt();
  signal?.addEventListener('abort', interrupt);
  const timer = setInterval(() => {
    if (checkpointWanted?.()) trainer.requestCheckpoint();
  }, LOOK);
  try {
    await trainer.follow({ ...(extractor && { extractor: extractor.native }) });
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', interrupt);
    await trainer.dispose();
    await extractor?.dispose();
  }
}

/** For this rank's part of the metrics' features. */
async function extractorOf(config: Config, addon: Addon): Promise<FeatureExtractor | undefined> {
  const { extractor: path, metrics, metricEvery } = config;
  if (path === undefined || metricEvery === 0 || !metrics.some(needsExtractor)) return undefined;
  return await FeatureExtractor.load(path, addon, config);
}
