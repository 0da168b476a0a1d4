/**
 * Locks between processes. A lock is a file that names its process, so that after a kill the next one need not wait: a
 * process that is gone on this machine holds nothing. Of one on another machine, or in another container, only the
 * file's age tells; it is renewed while the process lives.
 *
 * Not proper-lockfile: its locks carry no owner, so what a killed process has locked would stay so until the lock's time
 * is up.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { OutputError } from './errors.js';
import { fileErrorReason, temporaryIn } from './files.js';

/** Milliseconds between two renewals, and age from which a lock of elsewhere is abandoned. */
const RENEWAL = 5_000;
const ABANDONED = 30_000;
/** Milliseconds until another look while someone else takes an abandoned lock away. */
const GUARD_WAIT = 5;
/** Age in milliseconds from which such a guard is nobody's when it does not name its owner: it is held for moments. */
const GUARD_ABANDONED = 3_000;
/** Times that a file is made anew which a sweep of the folder has taken. */
const MOST_SWEEPS = 10;

/** A living process has the lock. */
export class LockHeld extends Error {
  readonly owner: { pid: number; host: string };

  constructor(owner: { pid: number; host: string }) {
    super(`locked by process ${owner.pid} on ${owner.host}`);
    this.owner = owner;
  }
}

/** This process has no lock any more, so that it must write nothing more. */
export class LockLost extends OutputError {}

interface Owner {
  pid: number;
  host: string;
  /** Where process numbers mean the same: this boot of the machine, this container. */
  place: string;
  /** When the process began, since numbers are used again. */
  began: string;
}

/** The file that is linked to where the lock is to be. Who holds the lock may sweep it away. */
interface Draft {
  path: string;
  content: string;
}

export class FileLock {
  private readonly path: string;
  private readonly content: string;
  private readonly timer: NodeJS.Timeout;

  private constructor(path: string, content: string) {
    this.path = path;
    this.content = content;
    this.timer = setInterval(() => void this.renew(), RENEWAL).unref();
  }

  /**
   * Makes the file `path`, whose folder must exist. Throws LockHeld while a living process has it, OutputError when it
   * cannot be made, and the signal's reason on an abort.
   */
  static async take(path: string, signal?: AbortSignal): Promise<FileLock> {
    const folder = dirname(path);
    // A number of its own: of one process several threads may want the lock, one after another.
    const content = `${JSON.stringify({ ...(await ownerOf(process.pid)), id: randomUUID() })}\n`;
    // Linked into place with its content: no reader sees an empty lock.
    const own: Draft = { path: temporaryIn(folder), content };
    try {
      await writeFile(own.path, content, { flag: 'wx' });
      while (!(await linked(own, path))) {
        signal?.throwIfAborted();
        await removeIfAbandoned(path, own);
      }
      return new FileLock(path, content);
    } catch (error) {
      if (error instanceof LockHeld || (signal?.aborted && error === signal.reason)) throw error;
      throw new OutputError(`cannot lock ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
    } finally {
      await rm(own.path, { force: true }).catch(() => {});
    }
  }

  /**
   * To be called before something is written under the lock. Throws LockLost when it is this process's no more: another
   * one has taken over, for this one stood still for long, or the folder was removed.
   */
  async requireHeld(): Promise<void> {
    let now: string | undefined;
    try {
      now = await contentOf(this.path);
    } catch {
      // A file that cannot be read now says nothing about whose it is.
      return;
    }
    if (now === this.content) return;
    clearInterval(this.timer);
    const { path } = this;
    const folder = dirname(path);
    if (now === undefined) {
      throw new LockLost(
        `${path} was removed while this process wrote to ${folder}, and so it writes nothing more there; begin again, or choose another folder`,
        { path },
      );
    }
    const owner = parseOwner(now);
    const who = owner ? `process ${owner.pid} on ${owner.host}` : 'another process';
    throw new LockLost(
      `${who} has taken over ${folder}, as this one stood still for long or its files were removed, and so this one writes nothing more there; let the other one go on, or stop it and begin again`,
      { path, ...(owner && { value: owner.pid }) },
    );
  }

  async release(): Promise<void> {
    clearInterval(this.timer);
    if (await this.isOwn()) await rm(this.path, { force: true }).catch(() => {});
  }

  /** Not the lock of another process, which would outlive it so. */
  private async renew(): Promise<void> {
    const now = new Date();
    if (await this.isOwn()) await utimes(this.path, now, now).catch(() => {});
  }

  /** Another process may have taken over, if this process stood still for long. */
  private async isOwn(): Promise<boolean> {
    return (await readFile(this.path, 'utf8').catch(() => undefined)) === this.content;
  }
}

/** False when something is at `path` already. */
async function linked(own: Draft, path: string): Promise<boolean> {
  for (let sweeps = 0; ; sweeps++) {
    try {
      await link(own.path, path);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return false;
      if (code !== 'ENOENT' || sweeps === MOST_SWEEPS) throw error;
      await writeFile(own.path, own.content);
    }
  }
}

/**
 * Throws LockHeld when the lock's owner lives. Only who has the guard beside it may take a lock away, and looks again
 * before: otherwise one that was taken over and locked anew in between would go with it.
 */
async function removeIfAbandoned(path: string, own: Draft): Promise<void> {
  await throwIfHeld(path, own);
  const guard = `${path}.takeover`;
  if (!(await linked(own, guard))) {
    await removeOldGuard(guard, own);
    await setTimeout(GUARD_WAIT);
    return;
  }
  try {
    await throwIfHeld(path, own);
    await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

async function throwIfHeld(path: string, own: Draft): Promise<void> {
  const content = await contentOf(path);
  if (content === undefined) return;
  const owner = parseOwner(content);
  if (owner !== undefined && (await isAlive(owner, path, own))) throw new LockHeld(owner);
}

/** Of a process that was killed with the guard, which is held for moments. */
async function removeOldGuard(guard: string, own: Draft): Promise<void> {
  const content = await contentOf(guard);
  if (content === undefined) return;
  const owner = parseOwner(content);
  const held = owner ? await isAlive(owner, guard, own) : await isYounger(guard, own, GUARD_ABANDONED);
  if (!held) await rm(guard, { force: true });
}

async function contentOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

function parseOwner(content: string): Owner | undefined {
  try {
    const owner = JSON.parse(content) as Partial<Owner> | null;
    return typeof owner?.pid === 'number' ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

async function isAlive(owner: Owner, path: string, own: Draft): Promise<boolean> {
  const here = await ownerOf(owner.pid);
  if (owner.place === here.place) {
    if (here.began === '' || owner.began !== here.began) return false;
    // Of this very process a worker thread may have ended and left its lock, which then is no longer renewed.
    if (owner.pid !== process.pid) return true;
  }
  return isYounger(path, own, ABANDONED);
}

/** Both times are the file system's, whatever the machines' clocks say. */
async function isYounger(path: string, own: Draft, age: number): Promise<boolean> {
  // Written anew: the lock may be younger than the wait for it.
  await writeFile(own.path, own.content);
  const [lock, now] = await Promise.all([stat(path), stat(own.path)]).catch(() => []);
  return lock !== undefined && now !== undefined && now.mtimeMs - lock.mtimeMs < age;
}

/** What a process of that number here would write; `began` is empty when there is none. */
async function ownerOf(pid: number): Promise<Owner> {
  const none = () => '';
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(none);
  const names = await readlink('/proc/self/ns/pid').catch(none);
  const status = await readFile(`/proc/${pid}/stat`, 'latin1').catch(none);
  // The 22nd field; the second, the program's name, may hold spaces and brackets.
  const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
  const began = fields[0] === 'Z' ? '' : (fields[19] ?? '');
  return { pid, host: hostname(), place: `${boot.trim()} ${names}`, began };
}
