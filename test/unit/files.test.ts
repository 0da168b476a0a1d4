import { mkdir, open, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { OutputError } from '../../lib/errors.js';
import { ensureFolder, placeFileSync, syncFiles, writeFileAtomic } from '../../lib/files.js';
import { temporaryFolder } from './support/temporary.js';

async function failure(promise: Promise<unknown>): Promise<OutputError> {
  const caught = await promise.then(
    () => undefined,
    (error) => error,
  );
  expect(caught).toBeInstanceOf(OutputError);
  expect(caught).toMatchObject({ code: 'ERR_SAN_OUTPUT', message: expect.not.stringContaining('\n') });
  return caught;
}

describe('syncFiles', () => {
  it("leaves it to the file system's own sync, where there is one", async () => {
    const sync = vi.fn(async () => true);
    await syncFiles('/photos', ['no such file'], sync);
    expect(sync.mock.calls).toEqual([['/photos']]);
  });

  it.each([
    ['fails', async () => false],
    ['is not there', undefined],
  ])('syncs file by file where that %s', async (_, sync) => {
    const folder = await temporaryFolder();
    placeFileSync(join(folder, 'a'), Buffer.from('1'));
    await syncFiles(folder, ['a'], sync);
    expect((await failure(syncFiles(folder, ['a', 'b'], sync))).message).toContain('b: no such file');
    expect(await readdir(folder)).toEqual(['a']);
  });
});

describe('placeFileSync', () => {
  const unsynced = async (path: string, data: Uint8Array) => placeFileSync(path, data);

  it('replaces an older file by one of many megabytes', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a'), 'old');
    const data = new Uint8Array(5_000_001).map((_, i) => i % 251);
    await unsynced(join(folder, 'a'), data);
    expect((await readFile(join(folder, 'a'))).equals(data)).toBe(true);
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('says why it cannot, and leaves nothing', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'a'));
    const error = await failure(unsynced(join(folder, 'a'), Buffer.from('1')));
    expect(error.message).toContain(join(folder, 'a'));
    expect(await readdir(folder)).toEqual(['a']);
    const missing = await failure(unsynced(join(folder, 'none', 'b'), Buffer.from('1')));
    expect(missing.message).toContain('no such file or folder');
  });
});

describe('writeFileAtomic', () => {
  it.each([
    ['ERR_ACCESS_DENIED', 'new'],
    ['EIO', 'old'],
  ])('writes where Node keeps a sync from the process, but not where that fails: %s', async (code, text) => {
    const folder = await temporaryFolder();
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    const handle = await open(path);
    const sync = vi.spyOn(Object.getPrototypeOf(handle), 'sync');
    sync.mockRejectedValue(Object.assign(new Error(code), { code }));
    try {
      await writeFileAtomic(path, ['new']).catch((error) => expect(error.code).toBe('ERR_SAN_OUTPUT'));
    } finally {
      sync.mockRestore();
      await handle.close();
    }
    expect(await readFile(path, 'utf8')).toBe(text);
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('writes chunks in order, bytes and text, and leaves nothing else', async () => {
    const folder = await temporaryFolder();
    await writeFileAtomic(join(folder, 'a'), [
      new Uint8Array([1, 2]),
      'é',
      new Uint8Array(0),
      Buffer.from('z'),
    ]);
    expect(await readdir(folder)).toEqual(['a']);
    expect([...(await readFile(join(folder, 'a')))]).toEqual([1, 2, 0xc3, 0xa9, 0x7a]);
  });

  it('writes chunks of many megabytes', async () => {
    const path = join(await temporaryFolder(), 'large');
    const chunk = new Uint8Array(5_000_001).map((_, i) => i % 251);
    await writeFileAtomic(path, [chunk, chunk.subarray(7, 3_000_000)]);
    const expected = Buffer.concat([chunk, chunk.subarray(7, 3_000_000)]);
    expect((await readFile(path)).equals(expected)).toBe(true);
  });

  it('replaces an older file', async () => {
    const path = join(await temporaryFolder(), 'a');
    await writeFile(path, 'old and longer');
    await writeFileAtomic(path, ['new']);
    expect(await readFile(path, 'utf8')).toBe('new');
  });

  it('takes the longest name that a file can have', async () => {
    const path = join(await temporaryFolder(), 'n'.repeat(255));
    await writeFileAtomic(path, ['x']);
    expect(await readFile(path, 'utf8')).toBe('x');
  });

  it('keeps the older file and removes its own when the chunks fail', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a'), 'old');
    const chunks = (function* () {
      yield 'half';
      throw new Error('out of chunks');
    })();
    await expect(writeFileAtomic(join(folder, 'a'), chunks)).rejects.toThrow('out of chunks');
    expect(await readdir(folder)).toEqual(['a']);
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('old');
  });

  it('says in words why it cannot write', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await mkdir(join(folder, 'folder'));
    const cases = [
      [join(folder, 'none', 'a'), 'no such file or folder'],
      [join(folder, 'file', 'a'), 'a part of its path is not a folder'],
      [join(folder, 'folder'), 'it is a folder'],
      [join(folder, 'n'.repeat(256)), 'the name is too long'],
    ] as const;
    for (const [path, reason] of cases) {
      const error = await failure(writeFileAtomic(path, ['x']));
      expect(error.message).toBe(`cannot write ${path}: ${reason}`);
      expect(error.details.path).toBe(path);
    }
    expect((await readdir(folder)).sort()).toEqual(['file', 'folder']);
  });
});

describe('ensureFolder', () => {
  it('makes a folder with its parents and takes one that is there', async () => {
    const path = join(await temporaryFolder(), 'a', 'b');
    await ensureFolder(path);
    await ensureFolder(path);
    await writeFile(join(path, 'x'), '');
    expect(await readdir(path)).toEqual(['x']);
  });

  it('names the file that is in the way', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'file');
    await writeFile(file, '');
    await symlink(join(folder, 'nowhere'), join(folder, 'link'));
    expect((await failure(ensureFolder(file))).message).toBe(`cannot use ${file} as a folder: it is a file`);
    const below = join(file, 'a', 'b');
    expect((await failure(ensureFolder(below))).message).toBe(
      `cannot use ${below} as a folder: ${file} is a file, not a folder`,
    );
    const link = join(folder, 'link');
    expect((await failure(ensureFolder(link))).message).toContain(`cannot use ${link} as a folder`);
  });

  it('ends where a parent is there but takes no folder', async () => {
    expect((await failure(ensureFolder('/proc/nope/a'))).message).toBe(
      'cannot use /proc/nope/a as a folder: no such file or folder',
    );
  });

  it.skipIf(process.getuid?.() === 0)('refuses a folder that cannot be written to', async () => {
    const path = join(await temporaryFolder(), 'locked');
    await mkdir(path, { mode: 0o500 });
    expect((await failure(ensureFolder(path))).message).toBe(
      `cannot use ${path} as a folder: permission denied`,
    );
    expect((await failure(writeFileAtomic(join(path, 'a'), ['x']))).message).toContain('permission denied');
  });
});
