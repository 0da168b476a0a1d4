/** What an experiment is: a grid file, in YAML or JSON, and its checks. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { suggestion } from '../lib/config/nearest.js';
import type { PresetName } from '../lib/config/presets.js';
import { presetLayer, resolveConfig } from '../lib/config/resolve.js';
import type { Config, ConfigInput } from '../lib/config/schema.js';
import { ConfigError } from '../lib/errors.js';
import { fileErrorReason } from '../lib/files.js';

export const SET_NAMES = ['fashion-16', 'fashion-32', 'emoji-32', 'emoji-64', 'emoji-128'] as const;
export type SetName = (typeof SET_NAMES)[number];
/** Models in quality/peers. */
export const PEER_NAMES = ['dcgan', 'wgan-gp', 'swae', 'soft-intro-vae'] as const;
export type PeerName = (typeof PEER_NAMES)[number];

const settings = z.record(z.string(), z.unknown());
const contender = z.strictObject({
  /** A model of quality/peers; SAN when absent. */
  peer: z.enum(PEER_NAMES).exactOptional(),
  /** SAN: over those of the grid. */
  settings: settings.default({}),
  /** Peers: images in a batch, in place of the paper's. */
  batch: z.int().min(2).exactOptional(),
  /** Peers: their weights' moving average is measured, as SAN's is. */
  average: z.boolean().exactOptional(),
  /** In place of the grid's. */
  images: z.int().min(2).exactOptional(),
  seeds: z.array(z.int().min(0)).min(1).exactOptional(),
});
const gridSchema = z.strictObject({
  set: z.enum(SET_NAMES),
  /** Training images that each run sees. */
  images: z.int().min(2),
  /** Times at which each run is measured, evenly spread. */
  points: z.int().min(1).max(1000).default(4),
  /** Generated images that are measured, and real ones at most. */
  samples: z.int().min(4).default(2000),
  seeds: z.array(z.int().min(0)).min(1).default([1]),
  /** Settings of every SAN; with `preset`, over those. */
  settings: settings.default({}),
  contenders: z
    .record(
      z.string().regex(/^[\w.-]+$/, 'names are made of letters, digits, dots, dashes and underscores'),
      contender,
    )
    .refine((all) => Object.keys(all).length > 0, 'there must be at least one'),
});
export type Grid = z.output<typeof gridSchema>;

export type RunSettings = ConfigInput & { preset?: PresetName };

/** One training run: a contender with one seed. */
export interface Run {
  contender: string;
  peer: PeerName | undefined;
  seed: number;
  images: number;
  /** A peer's, in place of its paper's. */
  batch?: number;
  /** A peer's moving average is measured. */
  average?: boolean;
  /** SAN only; what the preset and the schema say counts for the rest. */
  settings: RunSettings;
}

/** Throws ConfigError naming file, field and what is wrong, an unknown setting of a SAN included. */
export async function readGrid(path: string): Promise<Grid> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new ConfigError(`the grid ${path} cannot be read: ${fileErrorReason(error)}`, { path });
  });
  return parseGrid(text, path);
}

export function parseGrid(text: string, path: string): Grid {
  const fail = (field: string, message: string): never => {
    throw new ConfigError(`${path}: ${field === '' ? '' : `${field}: `}${message}`, { path, field });
  };
  let value: unknown;
  try {
    value = parse(text, { logLevel: 'error' });
  } catch (error) {
    return fail('', `it is neither YAML nor JSON: ${(error as Error).message.split('\n')[0]}`);
  }
  const result = gridSchema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
    const known = [...Object.keys(gridSchema.shape), ...Object.keys(contender.shape)];
    return fail(
      issue?.path.join('.') ?? '',
      `${issue?.message ?? 'wrong'}${unknown === undefined ? '' : suggestion(unknown, known)}`,
    );
  }
  const grid = result.data;
  for (const run of runsOf(grid)) {
    const field = `contenders.${run.contender}`;
    if (run.peer !== undefined && Object.keys(run.settings).length > Object.keys(grid.settings).length)
      fail(`${field}.settings`, `a peer has none: its settings are those that its paper gives`);
    if (run.peer === undefined && run.batch !== undefined)
      fail(`${field}.batch`, 'it is for peers; a SAN has settings: { batchSize: N }');
    if (run.peer === undefined && run.average !== undefined)
      fail(`${field}.average`, 'it is for peers; a SAN has settings: { emaHalfLife: N }');
    try {
      configOf(grid, run);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      fail(field, error.message);
    }
  }
  return grid;
}

/** All runs, the first seed of each contender first, so that a grid that is broken off has compared all of them. */
export function runsOf(grid: Grid): Run[] {
  const runs = Object.entries(grid.contenders).flatMap(([name, one]) =>
    (one.seeds ?? grid.seeds).map((seed, order) => ({
      order,
      run: {
        contender: name,
        peer: one.peer,
        seed,
        images: one.images ?? grid.images,
        ...(one.batch === undefined ? {} : { batch: one.batch }),
        ...(one.average === undefined ? {} : { average: one.average }),
        settings: { ...grid.settings, ...one.settings } as RunSettings,
      },
    })),
  );
  return runs.sort((a, b) => a.order - b.order).map(({ run }) => run);
}

/** Images seen at each of a run's measuring points. */
export const pointsOf = ({ points }: Grid, { images }: Run): number[] =>
  Array.from({ length: points }, (_, i) => Math.round((images * (i + 1)) / points));

/** Width and channels of a set's images. */
export const formatOf = (set: SetName): { imageSize: number; imageChannels: 1 | 3 } => ({
  imageSize: Number(set.split('-')[1]),
  imageChannels: set.startsWith('fashion') ? 1 : 3,
});

/** A SAN's settings in full; of a peer those of the SAN that it is compared with. */
export function configOf(grid: Grid, { settings, seed, images }: Run): Config {
  const given = { ...settings, ...formatOf(grid.set), seed };
  const { batchSize } = resolved(given);
  const steps = Math.max(1, Math.round(images / batchSize));
  const every = Math.max(1, Math.round(steps / grid.points));
  return resolved({
    ...given,
    steps: every * grid.points,
    checkpointEvery: every,
    sampleEvery: every,
    keepLast: 0,
    logEvery: Math.min(every, 50),
  });
}

const resolved = ({ preset, ...values }: RunSettings): Config =>
  resolveConfig([...(preset === undefined ? [] : [presetLayer(preset)]), { source: '', values }]);
