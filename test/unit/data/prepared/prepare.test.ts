import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  access,
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readManifest } from '../../../../lib/data/prepared/manifest.js';
import { type PrepareOptions, prepare } from '../../../../lib/data/prepared/prepare.js';
import { readRows, spreadRows, verifiedManifest } from '../../../../lib/data/prepared/prepared-set.js';
import { FileLock } from '../../../../lib/file-lock.js';
import { findPython } from '../../../native/python.js';
import { temporaryFolder } from '../../support/temporary.js';
import { folderOf, shade } from './support.js';

const KEYS = { imageSize: 4, imageChannels: 1 } as const;

/** Twenty-one images in two folders, four things that are none. */
async function source(): Promise<string> {
  const files: Record<string, number | string | Uint8Array> = {};
  for (let i = 0; i < 21; i++) files[`${i % 2 ? 'odd' : 'even'}/${String(i).padStart(2, '0')}.png`] = 10 * i;
  files['even/03.txt'] = 'text';
  files['odd/04.png'] = (await shade(4)).subarray(0, 60);
  files['odd/99.png'] = (await shade(4)).subarray(0, 60);
  files['even/empty.png'] = '';
  return folderOf(files);
}

async function plan(): Promise<PrepareOptions> {
  return { source: await source(), out: join(await temporaryFolder(), 'set.npy'), ...KEYS };
}

const shades = (npy: Buffer) => Array.from({ length: (npy.length - 128) / 16 }, (_, i) => npy[128 + 16 * i]);

describe('prepare()', () => {
  it('makes one file of all images in their order, and says what it is', async () => {
    const options = await plan();
    const set = await prepare(options);
    const evens = Array.from({ length: 11 }, (_, i) => 20 * i);
    const odds = Array.from({ length: 10 }, (_, i) => 20 * i + 10);
    const npy = await readFile(options.out);
    expect(shades(npy)).toEqual([...evens, ...odds]);
    expect(npy.subarray(0, 8)).toEqual(Buffer.from('\x93NUMPY\x01\x00', 'latin1'));
    expect(npy.subarray(10, 128).toString()).toMatch(
      /^\{'descr': '\|u1', 'fortran_order': False, 'shape': \(21, 4, 4, 1\), \} +\n$/,
    );
    const hash = createHash('sha256').update('21x4x4x1\n').update(npy.subarray(128)).digest('hex');
    expect(set).toMatchObject({ path: options.out, shape: [21, 4, 4, 1], hash, written: true });
    const manifest = await readManifest(options.out);
    expect(manifest).toMatchObject({
      source: { kind: 'folder', path: options.source },
      settings: { ...KEYS, crop: 'cover', background: '#ffffff', maxPixels: 1e8 },
      hash,
      classes: ['even', 'odd'],
      labels: [...evens.map(() => 0), ...odds.map(() => 1)],
    });
    expect(manifest?.skipped.map(({ path }) => path)).toEqual([
      'even/03.txt',
      'even/empty.png',
      'odd/04.png',
      'odd/99.png',
    ]);
    expect((await readdir(join(options.out, '..'))).sort()).toEqual(['set.json', 'set.npy']);
  });

  it('gives rows back', async () => {
    const set = await prepare(await plan());
    const { data, shape } = await readRows(set, [3, 4, 5, 0]);
    expect(shape).toEqual([4, 4, 4, 1]);
    expect([0, 1, 2, 3].map((i) => data[16 * i])).toEqual([60, 80, 100, 0]);
    const some = await spreadRows(set, 3);
    expect([0, 1, 2].map((i) => some.data[16 * i])).toEqual([0, 140, 70]);
    expect((await spreadRows(set, 1000)).shape[0]).toBe(21);
    await truncate(set.path, 200);
    await expect(readRows(set, [20])).rejects.toMatchObject({ code: 'ERR_SAN_DATA_FORMAT' });
  });

  it('is read by numpy, which can map it', async ({ skip }) => {
    const python = findPython('numpy', 'the comparison with numpy');
    if (python === undefined) return skip();
    const { path } = await prepare(await plan());
    const script = `
import numpy, sys
a = numpy.load(sys.argv[1], mmap_mode='r')
print(a.shape, a.dtype, a.flags.c_contiguous, a.offset % 64, a[:, 0, 0, 0].tolist())`;
    const shown = spawnSync(python, ['-c', script, path], { encoding: 'utf8' }).stdout;
    expect(shown).toBe(`(21, 4, 4, 1) uint8 True 0 [${shades(await readFile(path)).join(', ')}]\n`);
  });

  it('leaves what is up to date, and makes anew what is not', async () => {
    const options = await plan();
    const first = await prepare(options);
    expect(await prepare(options)).toEqual({ ...first, written: false });
    await expect(prepare({ ...options, imageSize: 8 })).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringMatching(/is there already.*--force/),
    });
    await writeFile(join(options.source, 'zzz.png'), await shade(255));
    await expect(prepare(options)).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    expect((await prepare({ ...options, force: true })).shape[0]).toBe(22);
  });

  it('clears away what a kill right at the end has left', async () => {
    const options = await plan();
    await prepare(options);
    await writeFile(`${options.out}.journal`, 'left');
    expect((await prepare(options)).written).toBe(false);
    expect((await readdir(join(options.out, '..'))).sort()).toEqual(['set.json', 'set.npy']);
  });

  it('takes no file for its own whose header says another shape', async () => {
    const options = await plan();
    await prepare(options);
    const file = await readFile(options.out);
    const shape = file.indexOf('(21, 4, 4, 1)');
    expect(shape).toBeGreaterThan(0);
    await writeFile(options.out, Buffer.from(file).fill('(21, 2, 8, 1)', shape, shape + 13));
    await expect(prepare(options)).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
  });

  it('does not replace its own source, force or not', async () => {
    const { out: other, ...options } = await plan();
    const { path: set } = await prepare({ ...options, out: other });
    await expect(prepare({ ...options, source: set, out: set, force: true })).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringContaining('is the data'),
    });
  });

  it("leaves a stranger's file that has the manifest's name", async () => {
    const options = await plan();
    const json = options.out.replace(/npy$/, 'json');
    await writeFile(json, '{"mine": true}');
    await expect(prepare(options)).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: `${json} is there already, and is not what this would make of ${options.source}; add --force (in the API force: true) to replace it, or choose another name`,
      details: { path: json, field: 'out' },
    });
    expect(await readFile(json, 'utf8')).toBe('{"mine": true}');
    expect(await readdir(join(options.out, '..'))).toEqual(['set.json']);
    await writeFile(options.out, 'mine as well');
    await expect(prepare(options)).rejects.toThrow(
      `${options.out} and ${json} are there already, and are not`,
    );
    await prepare({ ...options, force: true });
    // A manifest that has lost its file is nobody's but ours.
    await rm(options.out);
    expect((await prepare(options)).written).toBe(true);
  });

  it('finds damage, by size and by hash', async () => {
    const options = await plan();
    await prepare(options);
    expect(await verifiedManifest(options.out)).toBeDefined();
    const whole = await readFile(options.out);
    const damaged = Buffer.from(whole);
    damaged[200] = (damaged[200] as number) ^ 1;
    const header = Buffer.from(whole);
    header[60] = 0x39;
    for (const bytes of [damaged, header, whole.subarray(0, -1), Buffer.concat([whole, whole])]) {
      await writeFile(options.out, bytes);
      expect(await verifiedManifest(options.out)).toBeUndefined();
      await expect(prepare(options)).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    }
    await prepare({ ...options, force: true });
    expect((await readFile(options.out)).equals(whole)).toBe(true);
    // A copy has another time, and is as good.
    await utimes(options.out, 1, 1);
    expect((await prepare(options)).written).toBe(false);
  });

  it('refuses what it cannot do, in words', async () => {
    const options = await plan();
    const failure = (change: object) => prepare({ ...options, ...change }).catch((error) => error);
    expect(await failure({ out: 'set.png' })).toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field: 'out' },
    });
    expect(await failure({ source: '' })).toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field: 'source' },
    });
    expect(await failure({ imageSize: 3 })).toMatchObject({
      code: 'ERR_SAN_CONFIG',
      details: { field: 'imageSize' },
    });
    expect(await failure({ croop: 'cover' })).toMatchObject({
      code: 'ERR_SAN_CONFIG',
      message: expect.stringContaining('did you mean crop?'),
    });
    expect(await failure({ batchSize: 4 })).toMatchObject({ code: 'ERR_SAN_CONFIG' });
    expect(await failure({ source: join(options.source, 'none') })).toMatchObject({
      code: 'ERR_SAN_DATA_NOT_FOUND',
    });
    expect(await failure({ source: await folderOf({ a: 'a' }) })).toMatchObject({
      code: 'ERR_SAN_DATA_EMPTY',
      message: expect.stringContaining('files found: 1; commonest fault (1 of them): it is not an image'),
    });
    const folder = join(options.out, '..');
    expect(await readdir(folder)).toEqual([]);
    await mkdir(options.out);
    expect(await failure({})).toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    expect(await failure({ force: true })).toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      details: { path: options.out },
    });
  });

  it('is one process at a time', async () => {
    const options = await plan();
    const lock = await FileLock.take(`${options.out}.lock`);
    await expect(prepare(options)).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: `${options.out} is being written by process ${process.pid} on ${(await import('node:os')).hostname()}`,
    });
    await lock.release();
    await prepare(options);
  });
});

describe('a set that was begun', () => {
  /** What a process leaves that ends after `count` entries of the source. */
  async function brokenOff(options: PrepareOptions, count: number): Promise<void> {
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = ({ done }: { done: number }) => {
      if (done >= count) controller.abort(reason);
    };
    await expect(prepare(options, { signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect((await readdir(join(options.out, '..'))).sort()).toEqual(['set.npy.journal', 'set.npy.partial']);
  }

  async function expectSame(options: PrepareOptions): Promise<void> {
    const whole = { ...options, out: join(await temporaryFolder(), 'whole.npy') };
    const expected = await prepare(whole);
    const { hash, labels, classes, skipped } = await prepare(options);
    expect((await readFile(options.out)).equals(await readFile(whole.out))).toBe(true);
    expect({ hash, labels, classes, skipped }).toEqual({
      hash: expected.hash,
      labels: expected.labels,
      classes: expected.classes,
      skipped: expected.skipped,
    });
    expect((await readdir(join(options.out, '..'))).sort()).toEqual(['set.json', 'set.npy']);
  }

  it('is finished by the next call, with the same bytes', async () => {
    for (const count of [1, 7, 15, 21]) {
      const options = await plan();
      await brokenOff(options, count);
      const first: number[] = [];
      const controller = new AbortController();
      await prepare(options, {
        signal: controller.signal,
        onProgress: ({ done }) => {
          first.push(done);
          controller.abort();
        },
      }).catch(() => {});
      // It goes on from there, and not from the start.
      expect(first[0]).toBeGreaterThanOrEqual(count);
      await expectSame(options);
    }
  });

  it('may have been cut anywhere', async () => {
    const damages: ((partial: string, journal: string) => Promise<void>)[] = [
      async (_, journal) => appendFile(journal, '{"next":99,"rows":9'),
      async (partial) => appendFile(partial, 'bytes that no line of the journal speaks of'),
      async (partial) => truncate(partial, 200),
      async (partial) => truncate(partial, 0),
      async (_, journal) => truncate(journal, 100),
      async (_, journal) => truncate(journal, 0),
      async (_, journal) => writeFile(journal, 'nonsense\n{}\n'),
    ];
    for (const damage of damages) {
      const options = await plan();
      await brokenOff(options, 12);
      await damage(`${options.out}.partial`, `${options.out}.journal`);
      await expectSame(options);
    }
  });

  it('is not taken up with other settings or another source', async () => {
    const options = await plan();
    await brokenOff(options, 12);
    await expectSame({ ...options, background: '#000000', imageSize: 8 });
    const other = await plan();
    await brokenOff(other, 12);
    await writeFile(join(other.source, 'a.png'), await shade(255));
    await expectSame(other);
  });

  it('was finished all but its name', async () => {
    const options = await plan();
    await prepare(options);
    await rename(options.out, `${options.out}.partial`);
    await access(`${options.out}.partial`);
    await expectSame(options);
  });
});
