import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { resolveImageFormat } from '../../config/resolve.js';
import type { ConfigInput, ImageFormat } from '../../config/schema.js';
import { DataError, OutputError, SanError } from '../../errors.js';
import { FileLock, LockHeld } from '../../file-lock.js';
import { ensureFolder } from '../../files.js';
import { requireControl, requireObject } from '../../options.js';
import { refuseOverInput } from '../../output-place.js';
import { shown } from '../../shown.js';
import { byPath, type Skipped } from '../folder.js';
import { NPY_HEADER_BYTES } from '../npy.js';
import { type Label, rowsOf } from '../rows.js';
import type { ImageSource } from '../source.js';
import { openSource } from '../sources/open.js';
import {
  hashPixels,
  keyOf,
  type Manifest,
  manifestPath,
  readManifest,
  type Shape,
  writeManifest,
} from './manifest.js';
import { PartialFile, removePartial } from './partial-file.js';
import { type PreparedSet, setOf, verifiedManifest } from './prepared-set.js';

export interface PrepareOptions
  extends Pick<ConfigInput, 'imageSize' | 'imageChannels' | 'background' | 'crop' | 'maxPixels'> {
  /** Anything that train() takes as data. */
  source: string;
  /** The .npy file to write; a manifest of the same name that ends in .json comes beside it. */
  out: string;
  /** Replace `out` and the .json file beside it where they are there, whatever they are. */
  force?: boolean | undefined;
}

export interface PrepareProgress {
  /** Entries of the source that are done, and all, where that is known. */
  done: number;
  total?: number | undefined;
  /** Of those done, images and what could not be used. */
  images: number;
  skipped: number;
}

export interface PrepareControl {
  /** After an abort the promise rejects with the signal's reason; the same call later goes on from there. */
  signal?: AbortSignal | undefined;
  /** Called often: after each few images. */
  onProgress?: ((progress: PrepareProgress) => void) | undefined;
}

export interface Prepared extends PreparedSet {
  /** False when the file was there already, made of the same source with the same settings. */
  written: boolean;
}

/**
 * Decodes, turns, crops and resizes all images of a source into one .npy file [N, imageSize, imageSize, imageChannels]
 * of unsigned bytes that train() and numpy map into memory, in the order of the source. A process that is killed at
 * any moment loses a second's work at most: the same call goes on from there, and the file has the same bytes.
 *
 * Throws ConfigError; DataError for a source without images, or one that is damaged as a whole; OutputError.
 */
export async function prepare(options: PrepareOptions, control: PrepareControl = {}): Promise<Prepared> {
  requireObject(options, '{ source, out, imageSize }');
  requireControl(control, ['signal', 'onProgress']);
  const { source: path, out, force = false, ...keys } = options;
  const format = resolveImageFormat(keys);
  requirePaths(options);
  await refuseOverInput(out, path, 'out');
  const source = await openSource(path, { signal: control.signal, maxPixels: format.maxPixels });
  await ensureFolder(dirname(out));
  const lock = await FileLock.take(`${out}.lock`, control.signal).catch((error: unknown) => {
    if (!(error instanceof LockHeld)) throw error;
    const { pid, host } = error.owner;
    throw new OutputError(`${out} is being written by process ${pid} on ${host}`, { path: out, value: pid });
  });
  try {
    const key = await keyOf(source, format);
    const there = force ? undefined : await finished(out, key, control.signal);
    if (there) return { ...there, written: false };
    if (!force) await refuseReplacing(out, path);
    return { ...(await write(source, format, { out, key }, control)), written: true };
  } finally {
    await lock.release();
  }
}

/** Throws OutputError where the set's files would replace others: `out`, or a .json file that is no manifest. */
async function refuseReplacing(out: string, source: string): Promise<void> {
  const manifest = manifestPath(out);
  const foreign = (await exists(manifest)) && (await readManifest(out)) === undefined;
  const [first, ...more] = [...((await exists(out)) ? [out] : []), ...(foreign ? [manifest] : [])];
  if (first === undefined) return;
  const [are, them] = more.length > 0 ? ['are', 'them'] : ['is', 'it'];
  throw new OutputError(
    `${[first, ...more].join(' and ')} ${are} there already, and ${are} not what this would make of ${source}; add --force (in the API force: true) to replace ${them}, or choose another name`,
    { path: first, field: 'out' },
  );
}

/** The set at `out`, if it is whole and of this key. */
export async function finished(
  out: string,
  key: string,
  signal: AbortSignal | undefined,
): Promise<PreparedSet | undefined> {
  const manifest = await readManifest(out);
  if (manifest?.key !== key) return undefined;
  const verified = await verifiedManifest(out, signal);
  if (verified === undefined) return undefined;
  // A process that was killed as it finished may have left its journal.
  await removePartial(out).catch(() => {});
  return setOf(out, verified);
}

/** Makes the set, going on from what is there of it. The caller keeps others away from `out`. */
export async function write(
  source: ImageSource,
  format: ImageFormat,
  { out, key }: { out: string; key: string },
  { signal, onProgress }: PrepareControl,
): Promise<PreparedSet> {
  const { imageSize, imageChannels } = format;
  const file = await PartialFile.open(out, key, imageSize ** 2 * imageChannels);
  try {
    const tell = () =>
      onProgress?.({
        done: file.next,
        total: source.count,
        images: file.rows,
        skipped: file.skipped.length,
      });
    tell();
    try {
      for await (const rows of rowsOf(source, format, { from: file.next, signal })) {
        await file.add(rows);
        tell();
      }
    } catch (error) {
      if (signal?.aborted) await file.commit();
      throw error;
    }
    const skipped = [...source.skipped, ...file.skipped].sort(byPath);
    if (file.rows === 0) {
      await removePartial(out);
      throw noImages(source.path, skipped);
    }
    const shape: Shape = [file.rows, imageSize, imageSize, imageChannels];
    const { path, bytes, modified } = await file.seal(shape);
    const manifest = {
      key,
      source: { kind: source.kind, path: resolve(source.path), fingerprint: source.fingerprint },
      settings: format,
      shape,
      hash: await hashPixels(path, { offset: NPY_HEADER_BYTES, shape }, signal),
      file: { bytes, modified },
      ...classesOf(file.labels),
      ...(file.names.every((name) => name !== undefined) && { names: file.names }),
      skipped,
    };
    // Before the file itself, which without it would be anybody's.
    await writeManifest(out, manifest);
    await file.publish();
    return setOf(out, manifest as Manifest);
  } finally {
    await file.close();
  }
}

/** Numbers stay what they are; names become indices of the sorted list of all. */
export function classesOf(labels: readonly Label[]): Pick<Manifest, 'classes' | 'labels'> {
  if (labels.every((label) => label === undefined)) return {};
  if (labels.every((label) => typeof label !== 'string')) {
    return { labels: labels.map((label) => label ?? null) };
  }
  const classes = [
    ...new Set(labels.flatMap((label) => (label === undefined ? [] : [String(label)]))),
  ].sort();
  const indices = new Map(classes.map((name, index) => [name, index]));
  return { classes, labels: labels.map((label) => indices.get(String(label)) ?? null) };
}

function noImages(path: string, skipped: readonly Skipped[]): DataError {
  const counts = new Map<string, number>();
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const [commonest] = [...counts].sort(([, a], [, b]) => b - a);
  const why =
    commonest === undefined
      ? 'it is empty'
      : `files found: ${skipped.length}; commonest fault (${commonest[1]} of them): ${commonest[0]}`;
  return new DataError('ERR_SAN_DATA_EMPTY', `no image in ${path} can be used; ${why}`, { path });
}

function requirePaths({ source, out }: PrepareOptions): void {
  const fail = (field: string, value: unknown, expected: string) => {
    throw new SanError('ERR_SAN_OPTIONS', `${field} = ${shown(value)}: expected ${expected}`, {
      field,
      value,
    });
  };
  if (typeof source !== 'string' || source === '') fail('source', source, 'the path of a file or folder');
  if (typeof out !== 'string' || !out.endsWith('.npy')) fail('out', out, 'a path that ends in .npy');
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
