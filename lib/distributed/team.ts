/** The ranks of a run, as its training code sees them. */
import { z } from 'zod';
import type { Config } from '../config/schema.js';
import { ConfigError, DataError } from '../errors.js';
import type { Addon, NativeGroup, NativeTrainer } from '../native.js';
import { packageVersion } from '../version.js';
import type { RankOptions } from './ranks.js';

/** What rank 0 tells the others before the first step: what to train, then that all is ready; or that there is nothing. */
const announcement = z.discriminatedUnion('type', [
  z.object({ type: z.literal('prepare'), config: z.record(z.string(), z.unknown()) }),
  z.object({ type: z.literal('train') }),
  z.object({ type: z.literal('end') }),
]);
type Announcement = z.output<typeof announcement>;

export class Team {
  readonly rank: number;
  readonly size: number;
  /** Number among the ranks of this machine. */
  readonly localRank: number;
  readonly group: NativeGroup;
  private training = false;
  private ended = false;

  private constructor(group: NativeGroup, { rank, worldSize, localRank = 0 }: RankOptions) {
    this.group = group;
    this.rank = rank;
    this.size = worldSize;
    this.localRank = localRank;
  }

  /** Waits for all ranks. Throws ERR_SAN_RENDEZVOUS. */
  static async join(addon: Addon, options: RankOptions): Promise<Team> {
    const { rank, worldSize, host, port, servesStore, attempt = 0, joinTimeout, timeout } = options;
    const group = await addon.createGroup({
      rank,
      worldSize,
      host,
      port,
      ...(servesStore !== undefined && { servesStore }),
      prefix: `attempt-${attempt}`,
      agreement: `san-native ${await packageVersion()} on LibTorch ${addon.info().libtorch}`,
      ...(joinTimeout !== undefined && { joinTimeout: Math.ceil(1000 * joinTimeout) }),
      ...(timeout !== undefined && { timeout: Math.ceil(1000 * timeout) }),
    });
    return new Team(group, options);
  }

  /** Rank 0: has the others make ready what `config` needs. Throws ConfigError when they cannot share out its batch. */
  async prepare(config: Config): Promise<void> {
    const { batchSize, accumulate } = config;
    const parts = this.size * accumulate;
    if (batchSize % parts !== 0) {
      const passes = accumulate === 1 ? '' : ` of ${accumulate} passes`;
      throw new ConfigError(
        `batchSize = ${batchSize} cannot be shared out evenly among ${this.size} ranks${passes}; choose a multiple of ${parts}`,
        { field: 'batchSize', value: batchSize },
      );
    }
    await this.announce({ type: 'prepare', config: { ...config } });
  }

  /** All ranks, once their images are ready. Throws DataError when those of a rank are others than rank 0's. */
  async compareData(path: string, hash: string): Promise<void> {
    if (this.rank === 0) await this.announce({ type: 'train' });
    this.training = true;
    const all = await this.group.gather({ data: Buffer.from(hash) });
    const [first = hash, ...others] = all.map((bytes) => Buffer.from(bytes).toString());
    const odd = others.findIndex((other) => other !== first) + 1;
    if (odd === 0) return;
    throw new DataError(
      'ERR_SAN_DATA_CHANGED',
      `rank ${odd} has other images at ${path} than rank 0 (hash ${others[odd - 1]?.slice(0, 12)}, not ${first.slice(0, 12)}); give every machine the same data`,
      { path, field: 'data' },
    );
  }

  /** The other ranks: what rank 0 says next. */
  async listen(): Promise<Announcement> {
    const bytes = await this.group.broadcast({});
    return announcement.parse(JSON.parse(Buffer.from(bytes).toString()));
  }

  /** Calls back when a rank other than 0 wants the run to stop, or a checkpoint. */
  watch(trainer: NativeTrainer, on: { stop(): void; checkpoint(): void }): void {
    const run = trainer.run.bind(trainer);
    // The addon's own property is read-only.
    Object.defineProperty(trainer, 'run', {
      configurable: true,
      value: async (options: Parameters<NativeTrainer['run']>[0]) => {
        const report = await run(options);
        if (report.stopRequested) on.stop();
        if (report.checkpointRequested) on.checkpoint();
        return report;
      },
    });
  }

  /** In good order: waits until every rank leaves. Throws ERR_SAN_RANK_LOST. */
  async leave(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    // Others that were told to train are let go by the trainer's end.
    if (this.rank === 0 && !this.training) await this.announce({ type: 'end' });
    await this.group.leave({});
  }

  /**
   * Ends the run on all ranks. They are told why, unless rank 0 could not even begin: then it alone has something to say, and
   * nothing is lost. Never throws.
   */
  async fail(error: unknown): Promise<void> {
    if (this.ended) return;
    if (this.rank === 0 && !this.training) return this.leave().catch(() => {});
    this.ended = true;
    const reason = error instanceof Error ? error.message : String(error);
    await this.group.leave({ failure: `failed: ${reason}` }).catch(() => {});
  }

  private async announce(what: Announcement): Promise<void> {
    await this.group.broadcast({ data: Buffer.from(JSON.stringify(what)) });
  }
}
