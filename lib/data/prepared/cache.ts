/**
 * Prepared sets that are kept: `prepared/KEY.npy` and its manifest in the cache folder, the key being a hash of the
 * source's place and fingerprint and of the settings. The manifest's modification time is that of the last use.
 */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheFolder } from '../../cache-folder.js';
import { ConfigError, OutputError } from '../../errors.js';
import { FileLock, LockHeld } from '../../file-lock.js';
import { ensureFolder, fileErrorReason, isTemporary, removeTemporary } from '../../files.js';
import type { ImageFormat } from '../decode.js';
import type { ImageSource } from '../source.js';
import { keyOf, manifestPath, readManifest } from './manifest.js';
import { partialOf } from './partial-file.js';
import { finished, type PrepareControl, write } from './prepare.js';
import type { PreparedSet } from './prepared-set.js';

/** Milliseconds between two looks at a lock that another process has. */
const RETRY = 300;
/** Milliseconds after which a temporary file is no living process's: one is written to all the time, and then renamed. */
const LEFT_ALONE = 600_000;
const DEFAULT_LIMIT = 20e9;
const UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

const folderOf = (root: string): string => join(root, 'prepared');
const featuresFolder = (root: string): string => join(root, 'features');

export interface CacheControl extends PrepareControl {
  /** Called once when another process is preparing the same set. */
  onWait?: ((process: number) => void) | undefined;
}

/**
 * The set that a source becomes, from the cache if it is there and whole; else it is prepared into the cache first.
 * Several processes that want the same set at once make it once. Afterwards the least recently used sets beyond the
 * cache's size are removed; a process that has one of them open is not disturbed.
 *
 * Throws as prepare() does; OutputError also says what to do about a cache that cannot be written to.
 */
export async function cachedSet(
  source: ImageSource,
  format: ImageFormat,
  control: CacheControl = {},
): Promise<PreparedSet> {
  const folder = folderOf(cacheFolder());
  const limit = cacheLimit(process.env);
  const key = await keyOf(source, format);
  const out = join(folder, `${key}.npy`);
  const there = async () => {
    const set = await finished(out, key, control.signal);
    const now = new Date();
    // Of a cache that can only be read the order of use is not kept.
    if (set) await utimes(manifestPath(out), now, now).catch(() => {});
    return set && { ...set, source: { kind: source.kind, path: source.path } };
  };
  const found = await there();
  if (found) return found;
  try {
    await ensureFolder(folder);
    const lock = await takeLock(`${out}.lock`, control);
    try {
      // Another process may have made it while this one waited.
      const made = (await there()) ?? (await write(source, format, { out, key }, control));
      await removeBeyond(folder, limit, out);
      return made;
    } finally {
      await lock.release();
    }
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    throw new OutputError(
      `${error.message} (this is the cache of prepared images: SAN_NATIVE_CACHE names another folder, san-native cache clear makes room, and san-native prepare writes to a place of your choice)`,
      error.details,
      { cause: error },
    );
  }
}

async function takeLock(path: string, { signal, onWait }: CacheControl): Promise<FileLock> {
  for (let waited = false; ; waited = true) {
    try {
      return await FileLock.take(path, signal);
    } catch (error) {
      if (!(error instanceof LockHeld)) throw error;
      if (!waited) onWait?.(error.owner.pid);
      await delay(RETRY, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

/** SAN_NATIVE_CACHE_SIZE in bytes: "500M", "20G". Throws ConfigError. */
export function cacheLimit({ SAN_NATIVE_CACHE_SIZE: text }: NodeJS.ProcessEnv): number {
  if (text === undefined || text === '') return DEFAULT_LIMIT;
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)b?$/i.exec(text.trim()) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  if (number !== undefined && factor !== undefined) return Number(number) * factor;
  throw new ConfigError(`SAN_NATIVE_CACHE_SIZE = ${text}: expected a size such as 500M or 20G`, {
    field: 'SAN_NATIVE_CACHE_SIZE',
    value: text,
  });
}

/** One set in the cache, or the beginning of one. */
export interface CachedSet {
  path: string;
  /** Bytes of all its files. */
  bytes: number;
  /** Milliseconds since 1970. */
  lastUse: number;
  /** Absent where it was begun only. */
  source?: { kind: string; path: string };
  shape?: number[];
}

export interface CacheContent {
  folder: string;
  /** Size in bytes that it is kept to. */
  limit: number;
  /** Bytes of all sets. */
  bytes: number;
  /** The latest used first. */
  sets: CachedSet[];
  /** Features of real images, which `evaluate` keeps: number of files and bytes. */
  features: { files: number; bytes: number };
}

/** What is in the cache; empty where there is none. Throws OutputError when it cannot be read. */
export async function cacheContent(): Promise<CacheContent> {
  const folder = cacheFolder();
  const sets = await setsIn(folderOf(folder));
  const features = await featuresIn(folder);
  return {
    folder,
    limit: cacheLimit(process.env),
    bytes: sum(sets),
    sets,
    features: { files: features.length, bytes: sum(features) },
  };
}

/**
 * Removes all sets but those that a living process is writing, and all features. Gives the bytes that were freed.
 * Throws OutputError.
 */
export async function clearCache(): Promise<number> {
  const folder = cacheFolder();
  const features = await featuresIn(folder);
  let freed = 0;
  for (const set of await setsIn(folderOf(folder))) freed += await remove(set);
  for (const { path, bytes } of features) {
    await attempt(path, () => rm(path, { force: true }));
    freed += bytes;
  }
  for (const written of [folderOf(folder), featuresFolder(folder)])
    await removeTemporary(written, LEFT_ALONE);
  return freed;
}

/** Without those that are being written. */
const featuresIn = async (root: string) =>
  (await filesIn(featuresFolder(root))).filter(({ path }) => !isTemporary(basename(path)));

async function removeBeyond(folder: string, limit: number, used: string): Promise<void> {
  const sets = await setsIn(folder);
  let bytes = sum(sets);
  for (const set of sets.reverse()) {
    if (bytes <= limit) return;
    if (set.path !== used) bytes -= await remove(set);
  }
}

const SUFFIX = /\.(npy|json|npy\.partial|npy\.journal)$/;

async function setsIn(folder: string): Promise<CachedSet[]> {
  const sets = new Map<string, CachedSet>();
  for (const { path, bytes, modified } of await filesIn(folder)) {
    if (!SUFFIX.test(path)) continue;
    const npy = path.replace(SUFFIX, '.npy');
    const set = sets.get(npy) ?? { path: npy, bytes: 0, lastUse: 0 };
    sets.set(npy, { ...set, bytes: set.bytes + bytes, lastUse: Math.max(set.lastUse, modified) });
  }
  for (const [npy, set] of sets) {
    const manifest = await readManifest(npy);
    if (manifest === undefined || (await stat(npy).catch(() => undefined)) === undefined) continue;
    const { source, shape } = manifest;
    sets.set(npy, { ...set, source: { kind: source.kind, path: source.path }, shape });
  }
  return [...sets.values()].sort((a, b) => b.lastUse - a.lastUse);
}

/** Removes a set unless it is being written; the bytes that were freed. */
async function remove({ path, bytes }: CachedSet): Promise<number> {
  const lock = await FileLock.take(`${path}.lock`).catch((error: unknown) => {
    if (error instanceof LockHeld) return undefined;
    throw error;
  });
  if (lock === undefined) return 0;
  try {
    // The manifest first: without it the file is nothing.
    for (const file of [manifestPath(path), path, partialOf(path), `${path}.journal`]) {
      await attempt(file, () => rm(file, { force: true }));
    }
    return bytes;
  } finally {
    await lock.release();
  }
}

async function filesIn(folder: string): Promise<{ path: string; bytes: number; modified: number }[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw new OutputError(
      `cannot read ${folder}: ${fileErrorReason(error)}`,
      { path: folder },
      { cause: error },
    );
  });
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      return found?.isFile() ? [{ path, bytes: found.size, modified: found.mtimeMs }] : [];
    }),
  );
  return files.flat();
}

const sum = (files: readonly { bytes: number }[]): number =>
  files.reduce((total, { bytes }) => total + bytes, 0);

async function attempt(path: string, operation: () => Promise<void>): Promise<void> {
  try {
    await operation();
  } catch (error) {
    throw new OutputError(`cannot remove ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
  }
}
