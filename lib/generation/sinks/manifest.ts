/** What a set of images was made with, in a file beside it: only the same set is gone on with. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { OutputError } from '../../errors.js';
import { fileErrorReason } from '../../files.js';
import { PRECISIONS } from '../checks.js';
import type { ImageSet } from './sink.js';

const whole = z.int().min(0);
const schema = z.object({
  format: z.literal('san-native images'),
  version: z.literal(1),
  kind: z.enum(['png', 'tar', 'zip', 'npy']),
  seed: whole,
  truncation: z.number().nullable(),
  checkpoint: z.string(),
  step: whole,
  /** Manifests of older versions have none. */
  precision: z.enum(PRECISIONS).default('fp32'),
  imageSize: whole,
  imageChannels: whole,
  /** These four are absent for a folder of PNG files, to which any images of the seed can be added. */
  startIndex: whole.optional(),
  count: whole.optional(),
  /** Images and bytes of the file that are safe on the disk. */
  images: whole.optional(),
  bytes: whole.optional(),
});
export type Manifest = z.output<typeof schema>;

/** In the order in which a difference is told, with the words for it. */
const FIELDS = {
  kind: 'as',
  checkpoint: 'with checkpoint',
  step: 'at step',
  seed: 'with seed',
  truncation: 'with truncation',
  precision: 'in',
  startIndex: 'from index',
  count: 'with count',
} as const satisfies Partial<Record<keyof Manifest, string>>;

export function manifestOf(kind: Manifest['kind'], set: ImageSet): Manifest {
  const { startIndex, count, ...origin } = set;
  const base = { format: 'san-native images', version: 1, kind, ...origin } as const;
  return kind === 'png' ? base : { ...base, startIndex, count };
}

export const manifestText = (manifest: Manifest): string => `${JSON.stringify(manifest, undefined, 2)}\n`;

/** undefined when there is none. Throws OutputError when it is something else. */
export async function readManifest(path: string): Promise<Manifest | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new OutputError(`cannot read ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const message = `${path} is not a manifest of generated images; remove it or choose another place`;
    throw new OutputError(message, { path }, { cause });
  }
}

/** Throws OutputError when `found`, which tells what is at `path`, is not of the set that is wanted. */
export function refuseOther(path: string, found: Manifest, wanted: Manifest): void {
  for (const [field, words] of Object.entries(FIELDS) as [keyof typeof FIELDS, string][]) {
    if (found[field] === wanted[field]) continue;
    const [before, now] = [found[field], wanted[field]].map((value) =>
      value === null ? 'none' : field === 'checkpoint' ? String(value).slice(0, 12) : String(value),
    );
    const steps = field === 'checkpoint' ? ` (step ${found.step})` : '';
    throw new OutputError(
      `${path} was begun ${words} ${before}${steps}, not ${now}; remove it or choose another place`,
      { path, field, value: wanted[field] },
    );
  }
}
