import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FileLock, LockHeld, LockLost } from '../../lib/file-lock.js';
import { removeTemporary } from '../../lib/files.js';
import { temporaryFolder } from './support/temporary.js';

/** What another process does right before a file is linked. */
const meanwhile = vi.hoisted(() => ({ beforeLink: async (_to: string) => {} }));

vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof import('node:fs/promises')>();
  return {
    ...actual,
    link: async (from: string, to: string) => {
      await meanwhile.beforeLink(to);
      await actual.link(from, to);
    },
  };
});

afterEach(() => {
  meanwhile.beforeLink = async () => {};
});

describe('a lock of this very process', () => {
  it('is held while it is renewed', async () => {
    const path = join(await temporaryFolder(), 'run.lock');
    const lock = await FileLock.take(path);
    await expect(FileLock.take(path)).rejects.toBeInstanceOf(LockHeld);
    await lock.release();
    await (await FileLock.take(path)).release();
  });

  it('that a worker thread left behind when it was terminated is taken over once it has not been renewed for long', async () => {
    const path = join(await temporaryFolder(), 'run.lock');
    const first = await FileLock.take(path);
    const old = new Date(Date.now() - 60_000);
    await utimes(path, old, old);
    const second = await FileLock.take(path);
    const content = await readFile(path, 'utf8');
    // Whoever comes late releases nothing but its own.
    await first.release();
    expect(await readFile(path, 'utf8')).toBe(content);
    await second.release();
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('of a process with the same number that began at another time holds nothing', async () => {
    const path = join(await temporaryFolder(), 'run.lock');
    const lock = await FileLock.take(path);
    const content = JSON.parse(await readFile(path, 'utf8'));
    await lock.release();
    await writeFile(path, JSON.stringify({ ...content, began: '1' }));
    await (await FileLock.take(path)).release();
  });
});

describe('a lock that was lost', () => {
  it('to another process is told as such, and is left to it', async () => {
    const path = join(await temporaryFolder(), 'run.lock');
    const lock = await FileLock.take(path);
    await lock.requireHeld();
    const other = JSON.stringify({ pid: 17, host: 'elsewhere' });
    await writeFile(path, other);
    const error = await lock.requireHeld().catch((fault: unknown) => fault);
    expect(error).toBeInstanceOf(LockLost);
    expect(error).toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringMatching(/^process 17 on elsewhere has taken over /),
    });
    await lock.release();
    expect(await readFile(path, 'utf8')).toBe(other);
  });

  it('with its folder is told as such', async () => {
    const folder = join(await temporaryFolder());
    const path = join(folder, 'run.lock');
    const lock = await FileLock.take(path);
    await rm(path);
    await expect(lock.requireHeld()).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringMatching(/run\.lock was removed while this process wrote to /),
    });
  });
});

describe('two that want a lock at the same moment', () => {
  it("tell the loser who has it, though the winner's sweep took the loser's file", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'run.lock');
    let winner: FileLock | undefined;
    meanwhile.beforeLink = async () => {
      meanwhile.beforeLink = async () => {};
      winner = await FileLock.take(path);
      await removeTemporary(folder);
    };
    await expect(FileLock.take(path)).rejects.toBeInstanceOf(LockHeld);
    await winner?.release();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a guard that names no owner', () => {
  /** An abandoned lock, and the guard of who was killed as it took that away. */
  async function guarded() {
    const folder = await temporaryFolder();
    const path = join(folder, 'run.lock');
    for (const name of [path, `${path}.takeover`]) await writeFile(name, '');
    return { folder, path };
  }

  it("is nobody's once it is some seconds old", async () => {
    const { folder, path } = await guarded();
    const old = new Date(Date.now() - 10_000);
    await utimes(`${path}.takeover`, old, old);
    await (await FileLock.take(path)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('is so even when it is new as the wait begins', async () => {
    const { path } = await guarded();
    await (await FileLock.take(path)).release();
  });

  it('can be waited for until a signal ends that', async () => {
    const { folder, path } = await guarded();
    const reason = new Error('enough');
    await expect(FileLock.take(path, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect((await readdir(folder)).sort()).toEqual(['run.lock', 'run.lock.takeover']);
  });
});
