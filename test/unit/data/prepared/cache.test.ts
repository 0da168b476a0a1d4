import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ImageFormat, openData } from '../../../../lib/data/dataset.js';
import { cacheContent, cacheLimit, clearCache } from '../../../../lib/data/prepared/cache.js';
import { prepare } from '../../../../lib/data/prepared/prepare.js';
import { FileLock } from '../../../../lib/file-lock.js';
import { temporaryFolder } from '../../support/temporary.js';
import { folderOf, shade } from './support.js';

const FORMAT: ImageFormat = {
  imageSize: 4,
  imageChannels: 1,
  background: '#ffffff',
  crop: 'cover',
  maxPixels: 1e8,
};
let folder = '';
beforeEach(async () => {
  folder = await temporaryFolder();
  vi.stubEnv('SAN_NATIVE_CACHE', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Opens the data; whether anything had to be decoded for it. */
async function open(path: string, format: Partial<ImageFormat> = {}) {
  let prepared = false;
  const set = await openData(path, { ...FORMAT, ...format }, { onProgress: () => (prepared = true) });
  return { set, prepared };
}

describe('the cache of prepared images', () => {
  it('has what was prepared before, by source and settings', async () => {
    const root = await folderOf({ a: 1, b: 2, c: 'x' });
    const first = await open(root);
    expect(first.prepared).toBe(true);
    expect(first.set.path.startsWith(join(folder, 'prepared'))).toBe(true);
    expect(await open(root)).toEqual({ set: first.set, prepared: false });
    for (const change of [{ imageSize: 8 }, { imageChannels: 3 }, { background: '#000000' }] as const) {
      expect((await open(root, change)).prepared).toBe(true);
      expect((await open(root, change)).prepared).toBe(false);
    }
    expect((await open(root, { background: '#FFFFFF' })).prepared).toBe(false);
    await writeFile(join(root, 'd'), await shade(3));
    const changed = await open(root);
    expect(changed).toMatchObject({ prepared: true, set: { shape: [3, 4, 4, 1] } });
  });

  it('tells folders apart whose files have the same names, sizes and times', async () => {
    const roots = await Promise.all([folderOf({ a: 100 }), folderOf({ a: 101 })]);
    for (const root of roots) await utimes(join(root, 'a'), 1000, 1000);
    const hashes = await Promise.all(roots.map(async (root) => (await open(root)).set.hash));
    expect(new Set(hashes).size).toBe(2);
  });

  it('makes anew what was damaged', async () => {
    const root = await folderOf({ a: 1, b: 2 });
    const { set } = await open(root);
    const whole = await readFile(set.path);
    const manifest = set.path.replace(/npy$/, 'json');
    const flipped = Buffer.from(whole);
    flipped[150] = 77;
    for (const damage of [
      () => writeFile(set.path, flipped),
      () => writeFile(set.path, whole.subarray(0, 130)),
      () => writeFile(set.path, ''),
      () => writeFile(manifest, '{"format": "san-native-dataset"'),
      () => writeFile(manifest, ''),
    ]) {
      await damage();
      expect(await open(root)).toEqual({ set, prepared: true });
      expect((await readFile(set.path)).equals(whole)).toBe(true);
      expect((await open(root)).prepared).toBe(false);
    }
  });

  it('keeps to its size, and the latest used', async () => {
    const roots = await Promise.all([1, 2, 3].map((value) => folderOf({ a: value })));
    const [one, two, three] = roots as [string, string, string];
    const sets = [(await open(one)).set, (await open(two)).set];
    const { bytes } = await cacheContent();
    const ago = (seconds: number) => new Date(Date.now() - 1000 * seconds);
    for (const [index, { path }] of sets.entries()) {
      await utimes(path, ago(200 - index), ago(200 - index));
      await utimes(path.replace(/npy$/, 'json'), ago(100 - index), ago(100 - index));
    }
    // Used now, and so no longer the first to go.
    await open(one);
    vi.stubEnv('SAN_NATIVE_CACHE_SIZE', String(bytes + 100));
    await open(three);
    expect((await cacheContent()).sets.map(({ source }) => source?.path)).toEqual([three, one]);
    // What is larger than all of it is kept while nothing else is there.
    vi.stubEnv('SAN_NATIVE_CACHE_SIZE', '1');
    await open(two);
    expect((await cacheContent()).sets.map(({ source }) => source?.path)).toEqual([two]);
  });

  it('is listed and cleared', async () => {
    expect(await cacheContent()).toMatchObject({ folder, bytes: 0, sets: [], features: { files: 0 } });
    expect(await clearCache()).toBe(0);
    const { set } = await open(await folderOf({ a: 1 }));
    await writeFile(join(folder, 'prepared', 'KEY.npy.partial'), 'x');
    const content = await cacheContent();
    expect(content.limit).toBe(20e9);
    expect(content.sets).toHaveLength(2);
    expect(content.sets).toContainEqual(
      expect.objectContaining({ path: set.path, shape: [1, 4, 4, 1], source: set.source }),
    );
    const lock = await FileLock.take(`${set.path}.lock`);
    expect(await clearCache()).toBe(1);
    expect((await readdir(join(folder, 'prepared'))).sort()).toEqual(
      [set.path, `${set.path}.lock`, set.path.replace(/npy$/, 'json')].map((path) => basename(path)).sort(),
    );
    await lock.release();
    expect(await clearCache()).toBe(content.bytes - 1);
    expect(await readdir(join(folder, 'prepared'))).toEqual([]);
  });

  it('is cleared of temporary files that nobody has written to for long', async () => {
    const names = ['.san-0-a.tmp', '.san-1-b.tmp'];
    for (const below of ['prepared', 'features']) {
      await mkdir(join(folder, below), { recursive: true });
      for (const name of names) await writeFile(join(folder, below, name), 'half');
      const hourAgo = new Date(Date.now() - 3_600_000);
      await utimes(join(folder, below, '.san-0-a.tmp'), hourAgo, hourAgo);
    }
    expect(await cacheContent()).toMatchObject({ sets: [], features: { files: 0 } });
    expect(await clearCache()).toBe(0);
    for (const below of ['prepared', 'features'])
      expect(await readdir(join(folder, below))).toEqual(['.san-1-b.tmp']);
  });

  it('has a size in words', () => {
    const limit = (text?: string) => cacheLimit({ SAN_NATIVE_CACHE_SIZE: text });
    expect([
      limit(),
      limit(''),
      limit('5'),
      limit('500M'),
      limit('1.5 gb'),
      limit('2T'),
      limit('7kB'),
    ]).toEqual([20e9, 20e9, 5, 5e8, 1.5e9, 2e12, 7e3]);
    for (const wrong of ['much', '-1', '5 apples', '1e9']) {
      expect(() => limit(wrong)).toThrow('expected a size such as 500M or 20G');
    }
  });

  it('says what to do when it cannot be written', async () => {
    const root = await folderOf({ a: 1 });
    await writeFile(join(folder, 'file'), '');
    for (const wrong of [join(folder, 'file'), join(folder, 'file', 'below')]) {
      vi.stubEnv('SAN_NATIVE_CACHE', wrong);
      await expect(open(root)).rejects.toMatchObject({
        code: 'ERR_SAN_OUTPUT',
        message: expect.stringMatching(/^cannot .*SAN_NATIVE_CACHE names another folder/),
      });
    }
  });

  it('lets two wait for one another', async () => {
    const root = await folderOf(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${i}`, i])));
    const results = await Promise.all([open(root), open(root), open(root)]);
    expect(results.filter(({ prepared }) => prepared)).toHaveLength(1);
    expect(new Set(results.map(({ set }) => JSON.stringify(set))).size).toBe(1);
    const lock = await FileLock.take(`${results[0]?.set.path.replace(/\w+\.npy$/, 'other.npy')}.lock`);
    await lock.release();
  });

  it('is left alone by an abort while another has it', async () => {
    const root = await folderOf({ a: 1 });
    const { set } = await open(root);
    await clearCache();
    const lock = await FileLock.take(`${set.path}.lock`);
    const controller = new AbortController();
    const waits: number[] = [];
    const opening = openData(root, FORMAT, {
      signal: controller.signal,
      onWait: (process) => {
        waits.push(process);
        setTimeout(() => controller.abort(new Error('enough')), 20);
      },
    });
    await expect(opening).rejects.toThrow('enough');
    expect(waits).toEqual([process.pid]);
    await lock.release();
  });
});

describe('a file of the right shape', () => {
  it('is used where it lies, with or without a manifest', async () => {
    const root = await folderOf({ 'x/a': 1, 'y/b': 2, c: 'x' });
    const out = join(await temporaryFolder(), 'set.npy');
    const { written: _, ...prepared } = await prepare({ source: root, out, imageSize: 4, imageChannels: 1 });
    // The source is what was given, however the file was made once.
    const source = { kind: 'npy', path: out };
    expect(await open(out)).toEqual({ set: { ...prepared, source }, prepared: false });
    // Without it the classes and what was skipped are not known, but the pixels and their hash are.
    await writeFile(out.replace(/npy$/, 'json'), 'something else');
    const { path, shape, hash, offset } = prepared;
    const bare = { path, shape, hash, offset, skipped: [], source };
    expect(await open(out)).toEqual({ set: bare, prepared: false });
    expect(await cacheContent()).toMatchObject({ sets: [] });
    const other = await open(out, { imageSize: 8 });
    expect(other).toMatchObject({ prepared: true, set: { shape: [2, 8, 8, 1] } });
  });
});
