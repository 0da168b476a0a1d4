import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openData } from '../../../lib/data/dataset.js';
import { folderOf } from '../data/prepared/support.js';
import { cli } from '../support/cli.js';
import { temporaryFolder } from '../support/temporary.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('san-native prepare', () => {
  it('makes a file, tells what it left out, and does nothing twice', async () => {
    const source = await folderOf({ 'a/1': 1, 'b/2': 2, 'b/3': 'text' });
    const out = join(await temporaryFolder(), 'set.npy');
    const first = await cli('prepare', source, '--size', '8', '--channels', '1', '--out', out);
    expect(first).toMatchObject({ status: 0, err: '' });
    expect(first.out).toContain(`2 images of 8×8×1, 2 classes in ${out}\n`);
    expect(first.out).toContain(
      `skipped 1 files, listed with reasons in ${out.replace(/npy$/, 'json')}:\n  b/3: `,
    );
    expect((await readFile(out)).length).toBe(128 + 2 * 64);
    const again = await cli(
      'prepare',
      source,
      '--image-size',
      '8',
      '--image-channels',
      '1',
      '--out',
      out,
      '--json',
    );
    expect(JSON.parse(again.out)).toMatchObject({
      written: false,
      path: out,
      shape: [2, 8, 8, 1],
      classes: ['a', 'b'],
      labelled: true,
    });
    const other = await cli('prepare', source, '--out', out);
    expect(other).toMatchObject({ status: 1, out: '', err: expect.stringContaining('--force') });
    expect(await cli('prepare', source, '--out', out, '--force', '--quiet')).toEqual({
      status: 0,
      out: '',
      err: '',
    });
  });

  it('tells of names that would change a terminal, or the lines, without doing so', async () => {
    const source = await folderOf({ 'a\u001b[31m': 1, 'b\u009b\n': 1, 'c\u001b[2J\n': 'text' });
    const out = join(await temporaryFolder(), 'set.npy');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be
    const control = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/;
    const prepared = await cli('prepare', source, '--out', out);
    const data = await cli('data', source);
    for (const told of [prepared, data]) {
      expect(told.out).not.toMatch(control);
      expect(told.out).toContain('c\ufffd[2J\ufffd');
    }
    expect(data.out).toMatch(/^ {2}b\ufffd\ufffd = a\ufffd\[31m$/m);
    // Programs get the very names.
    expect(JSON.parse(await readFile(out.replace(/npy$/, 'json'), 'utf8')).skipped[0].path).toBe(
      'c\u001b[2J\n',
    );
  });

  it('says what is wrong', async () => {
    const source = await folderOf({ a: 1 });
    expect(await cli('prepare', source)).toMatchObject({ status: 2, err: expect.stringContaining('--out') });
    expect((await cli('prepare', source, '--out', 'x.npy', '--croop', 'cover')).err).toContain(
      'did you mean --crop?',
    );
    expect((await cli('prepare', source, '--out', 'x.npy', '--size', 'big')).err).toContain(
      'imageSize = "big": expected',
    );
    expect((await cli('prepare', source, '--out', 'x.png')).err).toContain('a path that ends in .npy');
    expect((await cli('prepare', '--help')).out).toMatch(/--image-size, --size .*--crop.*--max-pixels/s);
  });
});

describe('san-native cache', () => {
  it('lists, clears and names the cache', async () => {
    const folder = await temporaryFolder();
    vi.stubEnv('SAN_NATIVE_CACHE', folder);
    expect((await cli('cache', 'path')).out).toBe(`${folder}\n`);
    expect((await cli('cache')).out).toBe(`0 sets, 0.0 kB of 20 GB, in ${folder}\n`);
    const source = await folderOf({ a: 1 });
    const format = {
      imageSize: 4,
      imageChannels: 1,
      background: '#ffffff',
      crop: 'cover',
      maxPixels: 1e8,
    } as const;
    await openData(source, format);
    expect((await cli('cache', 'list')).out).toMatch(
      new RegExp(`^ *[\\d.]+ kB  \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d  1×4×4×1  ${source}\n1 sets`),
    );
    expect(JSON.parse((await cli('cache', '--json')).out)).toMatchObject({
      folder,
      limit: 20e9,
      sets: [{ shape: [1, 4, 4, 1] }],
    });
    expect((await cli('cache', 'clear')).out).toMatch(/^[\d.]+ kB freed in /);
    expect(await readdir(join(folder, 'prepared'))).toEqual([]);
    expect(await cli('cache', 'claer')).toMatchObject({ status: 2 });
    vi.stubEnv('SAN_NATIVE_CACHE_SIZE', 'huge');
    expect((await cli('cache')).err).toMatch(/^error ERR_SAN_CONFIG: SAN_NATIVE_CACHE_SIZE = huge/);
  });
});
