import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type CacheControl, type ImageFormat, openData, readRows } from '../../../lib/data/dataset.js';
import { DataError } from '../../../lib/errors.js';
import { folderOf, shade } from './prepared/support.js';

const FORMAT: ImageFormat = {
  imageSize: 4,
  imageChannels: 1,
  background: '#ffffff',
  crop: 'cover',
  maxPixels: 1e8,
};
const NO_IMAGE = 'it is not an image of a known kind (PNG, JPEG, WebP, GIF, AVIF, TIFF)';

/** What becomes of a source, with all of its pixels. */
async function load(path: string, format: ImageFormat = FORMAT, control: CacheControl = {}) {
  const set = await openData(path, format, control);
  return {
    ...set,
    images: await readRows(
      set,
      Array.from({ length: set.shape[0] }, (_, i) => i),
    ),
  };
}

/** The shades of the images in order; each image must be of one shade. */
async function shades(root: string): Promise<number[]> {
  const { images } = await load(root, FORMAT);
  const [count, ...rest] = images.shape;
  expect(rest).toEqual([4, 4, 1]);
  expect(images.data.length).toBe(count * 16);
  return Array.from({ length: count }, (_, i) => {
    const image = new Set(images.data.subarray(i * 16, (i + 1) * 16));
    expect(image.size).toBe(1);
    return [...image][0] as number;
  });
}

async function failure(source: string): Promise<DataError> {
  const caught = await load(source, FORMAT).catch((error) => error);
  expect(caught).toBeInstanceOf(DataError);
  expect(caught.message).toContain(source);
  expect(caught.message).not.toContain('\n');
  expect(caught.details.path).toBe(source);
  return caught;
}

describe('a folder of images', () => {
  it('is searched with its folders, in an order that no locale changes', async () => {
    const root = await folderOf({
      'b.png': 40,
      'a/z.png': 20,
      'a/B/c.png': 10,
      'a.png': 5,
      'Z.png': 1,
      'é.png': 60,
      'b10.png': 42,
      'b2.png': 44,
      '画像/😀.png': 80,
      'name with\nnew line.png': 50,
      'x[page=1].png': 55,
    });
    // Upper case before lower case, "." before "/", ASCII before the rest.
    expect(await shades(root)).toEqual([1, 5, 10, 20, 40, 42, 44, 50, 55, 60, 80]);
  });

  it('gives images by their content, whatever their names say', async () => {
    const root = await folderOf({
      'picture.txt': 10,
      'no-extension': 20,
      'text.png': 'this is no picture',
      'list.json': '{"a": 1}',
      'drawing.svg': '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>',
      'empty.png': '',
      'cut.png': (await shade(30)).subarray(0, 60),
    });
    expect(await shades(root)).toEqual([20, 10]);
    const { skipped, source } = await load(root, FORMAT);
    expect(skipped).toEqual([
      { path: 'cut.png', reason: 'it is damaged, cut short or an unsupported sort of PNG' },
      { path: 'drawing.svg', reason: NO_IMAGE },
      { path: 'empty.png', reason: 'it is empty' },
      { path: 'list.json', reason: NO_IMAGE },
      { path: 'text.png', reason: NO_IMAGE },
    ]);
    expect(source).toEqual({ kind: 'folder', path: root });
  });

  it('closes the gaps that damaged images leave', async () => {
    const damaged = (await shade(99)).subarray(0, 60);
    const root = await folderOf({ a: damaged, b: 1, c: damaged, d: damaged, e: 2, f: 3, g: damaged });
    expect(await shades(root)).toEqual([1, 2, 3]);
  });

  it('has nothing to say about hidden files and folders', async () => {
    const root = await folderOf({
      'a.png': 1,
      '.DS_Store': 'x',
      '.hidden.png': 2,
      '.git/b.png': 3,
      '._a.png': 'x',
    });
    expect(await shades(root)).toEqual([1]);
    expect((await load(root, FORMAT)).skipped).toEqual([]);
  });

  it('may be hidden itself, or a link', async () => {
    const root = await folderOf({ '.data/a.png': 7 });
    await symlink('.data', join(root, 'link'));
    expect(await shades(join(root, '.data'))).toEqual([7]);
    expect(await shades(join(root, 'link'))).toEqual([7]);
    expect(await shades(`${root}/.data/`)).toEqual([7]);
  });

  it('may have links to files and folders, and to itself', async () => {
    const outside = await folderOf({ 'x/1.png': 30, '2.png': 31 });
    const root = await folderOf({ 'a/b/c.png': 10, 'z.png': 20 });
    await symlink(root, join(root, 'a', 'b', 'root'));
    await symlink('..', join(root, 'a', 'up'));
    await symlink('a', join(root, '0-link-to-a'));
    await symlink('b', join(root, 'a', 'another-b'));
    await symlink(outside, join(root, 'outside'));
    await symlink(outside, join(root, 'outside-again'));
    await symlink('z.png', join(root, 'linked.png'));
    await symlink('nothing.png', join(root, 'broken.png'));
    await symlink('circle', join(root, 'circle'));
    // a/b/c.png by its real path, linked.png, then outside/2.png and outside/x/1.png once, z.png.
    expect(await shades(root)).toEqual([10, 20, 31, 30, 20]);
    expect((await load(root, FORMAT)).skipped).toEqual([
      { path: 'broken.png', reason: 'no such file or folder' },
      { path: 'circle', reason: 'its symbolic links run in a circle' },
    ]);
  });

  it('may have things in it that are not files', async () => {
    const root = await folderOf({ 'a.png': 1 });
    execFileSync('mkfifo', [join(root, 'pipe.png')]);
    await symlink('/dev/zero', join(root, 'zero.png'));
    expect((await load(root, FORMAT)).skipped).toEqual([
      { path: 'pipe.png', reason: 'it is neither a file nor a folder' },
      { path: 'zero.png', reason: 'it is neither a file nor a folder' },
    ]);
  });

  it.skipIf(process.getuid?.() === 0)('may have files and folders that cannot be read', async () => {
    const root = await folderOf({ 'a.png': 1, 'b.png': 2, 'c/d.png': 3 });
    await chmod(join(root, 'b.png'), 0);
    await chmod(join(root, 'c'), 0);
    const { skipped } = await load(root, FORMAT);
    await chmod(join(root, 'c'), 0o700);
    expect(skipped).toEqual([
      { path: 'b.png', reason: 'permission denied' },
      { path: 'c', reason: 'permission denied' },
    ]);
  });

  it('tells how far it is', async () => {
    const root = await folderOf({ a: 1, b: 2, c: 'x', d: (await shade(3)).subarray(0, 60) });
    const seen: [number, number | undefined][] = [];
    await load(root, FORMAT, { onProgress: ({ done, total }) => seen.push([done, total]) });
    expect(seen).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
  });

  it('is left when the signal is aborted', async () => {
    const root = await folderOf(Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`${i}`, i])));
    const reason = new Error('enough');
    const before = AbortSignal.abort(reason);
    await expect(load(root, FORMAT, { signal: before })).rejects.toBe(reason);
    const controller = new AbortController();
    let last = 0;
    const onProgress = ({ done }: { done: number }) => {
      last = done;
      if (done === 5) controller.abort(reason);
    };
    await expect(load(root, FORMAT, { signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect(last).toBeLessThan(30);
  });

  it('leaves JavaScript free', async () => {
    const large = await sharp({ create: { width: 3000, height: 3000, channels: 3, background: '#123456' } })
      .png()
      .toBuffer();
    const root = await folderOf(
      Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`${i}.png`, large])),
    );
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const start = performance.now();
    await load(root, FORMAT);
    const elapsed = performance.now() - start;
    clearInterval(timer);
    // Each picture takes some 80 ms: a timer that had to wait for them would run that seldom.
    expect(elapsed / ticks).toBeLessThan(30);
  });
});

describe('data that cannot be used', () => {
  it('is told apart: missing, empty, without images', async () => {
    const root = await folderOf({
      'texts/a.txt': 'a',
      'texts/b.txt': 'b',
      'texts/c': '',
      'hidden/.a.png': 1,
    });
    await mkdir(join(root, 'empty'));
    await symlink('nothing', join(root, 'broken'));
    for (const missing of [join(root, 'none'), join(root, 'texts', 'a.txt', 'x'), join(root, 'broken')]) {
      expect((await failure(missing)).code).toBe('ERR_SAN_DATA_NOT_FOUND');
    }
    for (const [name, words] of [
      ['empty', 'it is empty'],
      ['hidden', 'it is empty'],
      ['texts', `files found: 3; commonest fault (2 of them): ${NO_IMAGE}`],
    ] as const) {
      const { code, message } = await failure(join(root, name));
      expect(code).toBe('ERR_SAN_DATA_EMPTY');
      expect(message).toBe(`no image in ${join(root, name)} can be used; ${words}`);
    }
    const damaged = await folderOf({ 'a.png': (await shade(1)).subarray(0, 50) });
    expect((await failure(damaged)).message).toMatch(/files found: 1; .*damaged/);
  });

  it('may be a file of another sort, or neither file nor folder', async () => {
    const root = await folderOf({ 'a.txt': 'hello', 'a.png': 1 });
    expect(await failure(join(root, 'a.txt'))).toMatchObject({ code: 'ERR_SAN_DATA_FORMAT' });
    expect((await failure(join(root, 'a.png'))).message).toContain('give the folder');
    expect(await failure('/dev/zero')).toMatchObject({ code: 'ERR_SAN_DATA_FORMAT' });
  });
});

describe('the hash of the data', () => {
  it('is that of shape and pixels, wherever they come from', async () => {
    const root = await folderOf({ a: 3, b: 9 });
    const { hash } = await load(root, FORMAT);
    const pixels = Buffer.concat([Buffer.alloc(16, 3), Buffer.alloc(16, 9)]);
    expect(hash).toBe(createHash('sha256').update('2x4x4x1\n').update(pixels).digest('hex'));
    const header = Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4]);
    const file = join(root, 'idx');
    await writeFile(file, Buffer.concat([header, pixels]));
    const fromFile = await load(file, FORMAT);
    expect(fromFile.hash).toBe(hash);
    expect(fromFile).toMatchObject({ skipped: [], source: { kind: 'IDX', path: file } });
  });

  it('changes with the order and with the shape', async () => {
    const hashes = await Promise.all([
      load(await folderOf({ a: 3, b: 9 }), FORMAT),
      load(await folderOf({ a: 9, b: 3 }), FORMAT),
      load(await folderOf({ a: 3, b: 9 }), { ...FORMAT, imageSize: 2 }),
      load(await folderOf({ a: 3, b: 9 }), { ...FORMAT, imageChannels: 3 }),
    ]);
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(4);
  });
});
