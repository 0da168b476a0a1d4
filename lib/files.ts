/** Writing files so that a reader never sees half of one, and saying in words why a file could not be used. */
import { randomUUID } from 'node:crypto';
import { constants, renameSync, rmSync, writeFileSync } from 'node:fs';
import { access, type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OutputError } from './errors.js';

const REASONS: Record<string, string> = {
  EACCES: 'permission denied',
  EBUSY: 'it is in use',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'a file is in the way',
  EFBIG: 'the file would be too large',
  EIO: 'the device reports an input/output error',
  EISDIR: 'it is a folder',
  ELOOP: 'its symbolic links run in a circle',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  ENFILE: 'too many files are open',
  ENOENT: 'no such file or folder',
  ENOSPC: 'no space is left on the device',
  ENOTDIR: 'a part of its path is not a folder',
  EPERM: 'the operation is not permitted',
  EPIPE: 'the reader has gone',
  EROFS: 'the file system is read-only',
};

/** Why a file operation failed, in words: "permission denied". For any thrown value. */
export function fileErrorReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? String(message ?? error).replace(/\s+/g, ' ');
}

/**
 * Writes `chunks` one after the other as the file `path`, whole or not at all: the file appears, or replaces an older
 * one, only once everything is on the disk. Text is written as UTF-8. The folder must exist. Throws OutputError; the
 * older file is then untouched and nothing else is left behind. Whatever `chunks` throws passes through.
 *
 * Not write-file-atomic: it takes one buffer only, and a checkpoint is a list of tensors.
 */
export async function writeFileAtomic(
  path: string,
  chunks: Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>,
): Promise<void> {
  const folder = dirname(path);
  // In the same folder, since rename() works only within a file system. Independent of the name, which may be long.
  const temporary = temporaryIn(folder);
  const handle = await attempt(path, () => open(temporary, 'wx'));
  try {
    try {
      for await (const chunk of chunks) await attempt(path, () => handle.writeFile(chunk));
      await attempt(path, () => syncFile(handle));
    } finally {
      await attempt(path, () => handle.close());
    }
    await attempt(path, () => rename(temporary, path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  // Without this the new name may be lost in a power failure, though the content is safe.
  await attempt(path, () => syncFolder(folder));
}

/**
 * Writes one of many files of a folder, whole or not at all; for threads that do nothing else. syncFiles() must follow: until
 * then a power failure, but not the end of the process, may leave it empty or cut. Throws as writeFileAtomic().
 */
export function placeFileSync(path: string, data: Uint8Array): void {
  const temporary = temporaryIn(dirname(path));
  try {
    writeFileSync(temporary, data, { flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    try {
      rmSync(temporary, { force: true });
    } catch {
      // The first error tells more.
    }
    throw cannotWrite(path, error);
  }
}

const cannotWrite = (path: string, cause: unknown): OutputError =>
  new OutputError(`cannot write ${path}: ${fileErrorReason(cause)}`, { path }, { cause });

/** A name in `folder` that nothing has. */
export const temporaryIn = (folder: string): string => join(folder, `.san-${randomUUID()}.tmp`);

/** Whether a file in some folder has a name that temporaryIn() gives. */
export const isTemporary = (name: string): boolean => /^\.san-[\w-]+\.tmp$/.test(name);

/**
 * Removes the temporary files that killed processes have left in `folder`. Where others may be writing, `unchanged` says
 * for how many milliseconds a file must have been left alone to be one of them.
 */
export async function removeTemporary(folder: string, unchanged = 0): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isTemporary)) {
    const path = join(folder, name);
    if (unchanged > 0) {
      const found = await stat(path).catch(() => undefined);
      if (found === undefined || Date.now() - found.mtimeMs < unchanged) continue;
    }
    await rm(path, { force: true }).catch(() => {});
  }
}

/** Calls `operation`, which writes `path`; what it throws becomes an OutputError. */
export async function attempt<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** Writes all of the file system of a path to its disk; false where that cannot be done. */
export type SyncFileSystem = (path: string) => Promise<boolean>;

/**
 * Makes files of one folder that placeFileSync() wrote safe from a power failure, and their names. All at once by
 * `syncFileSystem`, which costs a tenth of a sync for each file, where it can.
 */
export async function syncFiles(
  folder: string,
  names: Iterable<string>,
  syncFileSystem?: SyncFileSystem,
): Promise<void> {
  if (await syncFileSystem?.(folder)) return;
  for (const name of names) {
    const path = join(folder, name);
    await attempt(path, async () => {
      const handle = await open(path, 'r');
      await syncFile(handle, 'datasync').finally(() => handle.close());
    });
  }
  await attempt(folder, () => syncFolder(folder));
}

/** A file that grows at its end. What a failed append left there is cut off by the next one. */
export class GrowingFile {
  readonly path: string;
  /** Bytes that were appended whole. */
  private size: number;
  private torn = false;

  constructor(path: string, size = 0) {
    this.path = path;
    this.size = size;
  }

  /** Makes the file where it is missing. Throws OutputError; nothing of `data` then counts as written. */
  async append(data: Uint8Array): Promise<void> {
    await attempt(this.path, async () => {
      const { torn } = this;
      this.torn = true;
      const file = await open(this.path, 'a');
      try {
        // Once it is open: a file that could not be made before is there by now, and has nothing to cut off.
        if (torn && (await file.stat()).size > this.size) await file.truncate(this.size);
        await file.writeFile(data);
      } finally {
        await file.close();
      }
      this.torn = false;
    });
    this.size += data.length;
  }
}

/** Makes an open file safe from a power failure, unless Node keeps that from the process: from version 26 on under --permission. */
export async function syncFile(file: FileHandle, what: 'sync' | 'datasync' = 'sync'): Promise<void> {
  try {
    await file[what]();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ACCESS_DENIED') throw error;
  }
}

/** Makes the names in a folder safe from a power failure. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await syncFile(handle);
  } catch (error) {
    // Some file systems cannot sync a folder, and one may be writable without being readable.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EINVAL' && code !== 'EACCES' && code !== 'EPERM' && code !== 'ENOTSUP') throw error;
  } finally {
    await handle?.close();
  }
}

/**
 * Makes the folder `path`, and its parents, unless it is there. Throws OutputError when it or a parent is a file or
 * when it cannot be made or written to; the message names the part of the path at fault.
 */
export async function ensureFolder(path: string): Promise<void> {
  try {
    await makeFolders(path);
    await access(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { file, folder } = await nearestOnPath(path);
    // Made with its parents, a folder fails with "no such file" on a file system that cannot be written.
    const denied = await access(folder, constants.W_OK | constants.X_OK).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    const reason =
      file === undefined
        ? fileErrorReason(denied ?? error)
        : file === path
          ? 'it is a file'
          : `${file} is a file, not a folder`;
    throw new OutputError(`cannot use ${path} as a folder: ${reason}`, { path }, { cause: error });
  }
}

/**
 * As mkdir(path, { recursive: true }), which in Node 20 turns in a circle for ever where a parent is there but
 * takes no folder and says ENOENT: in /proc, in a working directory that was removed, in a mount that has gone.
 */
export async function makeFolders(path: string): Promise<void> {
  const missing = await makeFolder(path);
  if (missing === undefined) return;
  if (dirname(path) === path) throw missing;
  await makeFolders(dirname(path));
  const still = await makeFolder(path);
  if (still !== undefined) throw still;
}

/** -> why not, when there is no parent */
async function makeFolder(path: string): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error;
  }
  return undefined;
}

/** The nearest of `path` and its parents that is there, as a folder, or as a file in the way. */
async function nearestOnPath(path: string): Promise<{ file?: string; folder: string }> {
  for (let part = path; ; part = dirname(part)) {
    const found = await stat(part).catch(() => undefined);
    if (found !== undefined)
      return found.isDirectory() ? { folder: part } : { file: part, folder: dirname(part) };
    if (part === dirname(part)) return { folder: part };
  }
}
