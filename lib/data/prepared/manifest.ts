/** What lies beside a prepared .npy file: where its images come from, how they were made, and their hash. */
import { createHash } from 'node:crypto';
import { open, readFile, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { imageFormatSchema } from '../../config/schema.js';
import { writeFileAtomic } from '../../files.js';
import type { ImageFormat } from '../decode.js';
import type { ImageSource } from '../source.js';

const FORMAT = 'san-native-dataset';
const VERSION = 1;
/** Raised when the same file becomes other pixels: with 2 small images are enlarged where they are, not half a pixel off. */
const RENDERING = 2;
/** Bytes hashed in one go: a few milliseconds. */
const HASH_BYTES = 2 ** 22;

const count = z.int().min(0);
const manifestSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  /** Of all that decided the pixels: equal keys, equal sets. */
  key: z.string(),
  source: z.object({ kind: z.string(), path: z.string(), fingerprint: z.string() }),
  /** The config keys that decided the pixels. */
  settings: imageFormatSchema,
  /** [N, imageSize, imageSize, imageChannels]. */
  shape: z.tuple([count, count, count, count]),
  /** SHA-256, in hexadecimal, of the shape as "NxSxSxC" and a line feed, then all pixels: equal for equal data. */
  hash: z.string(),
  /** Size and modification time (milliseconds since 1970) of the .npy file when it was finished. */
  file: z.object({ bytes: count, modified: z.number() }),
  /** Names of the classes, where the source has names. */
  classes: z.array(z.string()).optional(),
  /** Class of each image, in their order, where the source has classes: a number, or an index of `classes`. */
  labels: z.array(z.number().nullable()).optional(),
  /** Name of each image in the source, in their order, where they are files there. */
  names: z.array(z.string()).optional(),
  /** Files that could not be used, ordered by path. */
  skipped: z.array(z.object({ path: z.string(), reason: z.string() })),
});

export type Manifest = z.output<typeof manifestSchema>;
export type Shape = Manifest['shape'];

/** "emoji.npy" has "emoji.json". */
export const manifestPath = (npy: string): string => npy.replace(/\.npy$/, '.json');

/** The manifest beside a .npy file; undefined where there is none, or another sort of file. */
export async function readManifest(npy: string): Promise<Manifest | undefined> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(manifestPath(npy), 'utf8')));
  } catch {
    return undefined;
  }
}

export async function writeManifest(
  npy: string,
  manifest: Omit<Manifest, 'format' | 'version'>,
): Promise<void> {
  const { labels, names, skipped, ...rest } = manifest;
  const text = JSON.stringify({ format: FORMAT, version: VERSION, ...rest }, null, 2).slice(0, -2);
  // Long lists in a line each, or a line an entry.
  const list = skipped.map((entry) => `\n    ${JSON.stringify(entry)}`).join(',');
  await writeFileAtomic(manifestPath(npy), [
    text,
    ...(labels === undefined ? [] : [`,\n  "labels": ${JSON.stringify(labels)}`]),
    ...(names === undefined ? [] : [`,\n  "names": ${JSON.stringify(names)}`]),
    `,\n  "skipped": [${list}${list === '' ? '' : '\n  '}]\n}\n`,
  ]);
}

/**
 * SHA-256, in hexadecimal, of all that decides the pixels that a source becomes. Its place is among that: two folders may
 * have files of the same names, sizes and times.
 */
export async function keyOf(
  { kind, path, fingerprint }: Pick<ImageSource, 'kind' | 'path' | 'fingerprint'>,
  { imageSize, imageChannels, crop, background, maxPixels }: ImageFormat,
): Promise<string> {
  // A pattern for many files is no path itself.
  const place = await realpath(path).catch(() => resolve(path));
  const settings = [imageSize, imageChannels, crop, background.toLowerCase(), maxPixels];
  return createHash('sha256')
    .update(JSON.stringify([FORMAT, VERSION, RENDERING, kind, place, fingerprint, ...settings]))
    .digest('hex');
}

/** Manifest.hash of the pixels that begin at `offset` in a file. Throws what the file system throws. */
export async function hashPixels(
  path: string,
  { offset, shape }: { offset: number; shape: Shape },
  signal?: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash('sha256').update(`${shape.join('x')}\n`);
  const end = offset + shape.reduce((a, b) => a * b, 1);
  const buffer = Buffer.alloc(Math.min(HASH_BYTES, end - offset));
  const handle = await open(path, 'r');
  try {
    for (let at = offset; at < end; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at);
      if (bytesRead === 0) throw new Error('the file has become shorter');
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}
