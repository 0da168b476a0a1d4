/** The functions and commands of the reverser on files, with an addon that does no arithmetic. */
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { RowReader } from '../../../lib/data/dataset.js';
import { San } from '../../../lib/generation/san.js';
import type { Addon, ImageBatch } from '../../../lib/native.js';
import { interpolateImages } from '../../../lib/reverser/interpolate.js';
import { findNeighbors } from '../../../lib/reverser/neighbors.js';
import { reconstructImages } from '../../../lib/reverser/reconstruct.js';
import { reverseImages } from '../../../lib/reverser/reverse.js';
import { scoreImages } from '../../../lib/reverser/score.js';
import { npyOf, tarOf } from '../data/sources/support.js';
import { cli } from '../support/cli.js';
import { grey, mirrorAddon, recordData, runAndPhotos } from './support.js';

const native = vi.hoisted(() => ({ addon: undefined as Addon | undefined }));
vi.mock('../../../lib/native.js', async (original) => ({
  ...(await original()),
  loadAddon: () => native.addon,
}));

let folder = '';
let run = '';
let photos = '';
beforeEach(async () => {
  native.addon = mirrorAddon();
  ({ folder, run, photos } = await runAndPhotos());
});

const out = (name: string) => join(folder, name);

describe('reverse', () => {
  it('writes latents as numpy reads them, and whose they are', async () => {
    await using san = await San.load(run);
    const result = await reverseImages(san, { data: photos, out: out('z.npy'), names: out('z.csv') });
    expect(result).toMatchObject({ shape: [5, 64, 1, 1], skipped: [{ path: 'notes.txt' }] });
    const file = await readFile(out('z.npy'));
    expect(file.subarray(0, 8).toString('latin1')).toBe('\x93NUMPY\x01\x00');
    const start = 10 + file.readUInt16LE(8);
    expect(start % 64).toBe(0);
    expect(file.subarray(10, start).toString()).toMatch(
      /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(5, 64, 1, 1\), \} *\n$/,
    );
    expect(file.length).toBe(start + 5 * 64 * 4);
    expect([0, 1, 2, 3, 4].map((i) => file.readFloatLE(start + i * 256))).toEqual([10, 60, 110, 160, 210]);
    expect(await readFile(out('z.csv'), 'utf8')).toMatch(/^row,name\n0,"0, ""10"".png"\n1,/);
  });
});

describe('reconstruct', () => {
  it('draws each row over its reconstructions', async () => {
    await using san = await San.load(run);
    const options = { data: photos, out: out('sheet.png'), count: 4, columns: 2 };
    const result = await reconstructImages(san, options);
    expect(result.meanPixelError).toBe(0);
    expect(result.images.map(({ name }) => name.slice(0, 1))).toEqual(['0', '1', '2', '3']);
    const { data, info } = await sharp(out('sheet.png')).raw().toBuffer({ resolveWithObject: true });
    const at = (x: number, y: number) => data[(y * info.width + x) * info.channels];
    // Cells of 9 pixels, enlarged eightfold, a gap of 2 between groups.
    const middle = (column: number, row: number) =>
      at((1 + column * 9 + 4) * 8, (1 + row * 9 + (row > 1 ? 2 : 0) + 4) * 8);
    expect([0, 1, 2, 3].map((row) => [middle(0, row), middle(1, row)])).toEqual([
      [10, 60],
      [10, 60],
      [110, 160],
      [110, 160],
    ]);
  });
});

describe('interpolate', () => {
  it('goes from one image to the other, in equal steps here, and back', async () => {
    await using san = await San.load(run);
    const [from, to] = (await readdir(photos)).sort().map((name) => join(photos, name));
    const options = {
      ...{ from: from as string, to: to as string, frames: 6 },
      ...{ out: out('strip.png'), animation: out('way.webp'), pingPong: true, fps: 20 },
    };
    const result = await interpolateImages(san, options);
    expect(result.frames).toBe(6);
    expect(result.meanChange).toBeCloseTo(10 / 127.5, 9);
    expect(result.largestChange).toBeCloseTo(10 / 127.5, 9);
    const strip = await sharp(out('strip.png')).metadata();
    expect([strip.width, strip.height]).toEqual([(6 * 9 + 1) * 8, 80]);
    const animation = sharp(out('way.webp'), { animated: true });
    const { pages, delay, loop, width, pageHeight } = await animation.metadata();
    expect({ pages, loop, width, pageHeight }).toEqual({ pages: 10, loop: 0, width: 64, pageHeight: 64 });
    expect(delay).toEqual(Array(10).fill(50));
    const { data, info } = await animation.raw().toBuffer({ resolveWithObject: true });
    const levels = Array.from({ length: 10 }, (_, i) => data[i * 64 * 64 * info.channels]);
    expect(levels).toEqual([10, 20, 30, 40, 50, 60, 50, 40, 30, 20]);
  });

  it('keeps equal angles on demand', async () => {
    await using san = await San.load(run);
    const [from, , to] = (await readdir(photos)).sort().map((name) => join(photos, name));
    const options = { from: from as string, to: to as string, frames: 3, out: out('strip.png') };
    const { meanChange, largestChange } = await interpolateImages(san, { ...options, pace: 'angle' });
    expect([meanChange, largestChange]).toEqual([50 / 127.5, 50 / 127.5].map((v) => expect.closeTo(v, 9)));
  });

  it('takes generated images by index, or by seed and index', async () => {
    const addon = native.addon as Addon;
    const asked: unknown[] = [];
    native.addon = {
      ...addon,
      latents: (options) => {
        asked.push([options.seed, options.startIndex, options.count]);
        return addon.latents(options);
      },
    };
    const { status, out: text } = await cli(
      ...['interpolate', run, '3', '2:17', '--seed', '5', '--out', out('s.png'), '--json'],
    );
    expect(status).toBe(0);
    expect(asked).toEqual([
      [5, 3, 1],
      [2, 17, 1],
    ]);
    expect(JSON.parse(text)).toMatchObject({ frames: 24, out: out('s.png') });
  });
});

describe('score', () => {
  it('writes a table, against the training images that the run names', async () => {
    await recordData(run, photos);
    const { status, out: text } = await cli('score', run, photos, '--out', out('s.csv'), '--json');
    expect(status).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ count: 5, median: 0, reference: { data: photos, count: 5 } });
    const lines = (await readFile(out('s.csv'), 'utf8')).trim().split('\n');
    expect(lines[0]).toBe('name,score,pixel_error,relative_error,latent_norm');
    expect(lines[1]).toBe('"0, ""10"".png",0,0,0,1.25');
    expect(lines).toHaveLength(6);
  });

  it('opens the training images that the run names by a pattern', async () => {
    for (const level of [10, 60]) {
      const shard = await tarOf([{ name: `${level}.png`, content: await grey(level) }]);
      await writeFile(out(`shard-${level}.tar`), shard);
    }
    const path = out('shard-{10,60}.tar');
    await recordData(run, path);
    const { status, out: text } = await cli('score', run, photos, '--out', out('s.csv'), '--json');
    expect(status).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ count: 5, reference: { data: path, count: 2 } });
  });

  it.each([
    [undefined, 'does not say what it was trained on'],
    ['/nothing/here', 'the training images are no longer at /nothing/here'],
    ['/nothing/here-{0..9}.tar', 'the training images are no longer at /nothing/here-{0..9}.tar'],
    ['/nothing/*.tar', 'the training images are no longer at /nothing/*.tar'],
  ])('asks for a reference where there is none', async (path, reason) => {
    if (path) await recordData(run, path);
    const { status, err } = await cli('score', run, photos, '--out', out('s.csv'));
    expect([status, err]).toEqual([1, expect.stringContaining(reason)]);
    expect(err).toContain('--reference');
    const { status: given } = await cli(
      ...['score', run, photos, '--out', out('s.csv'), '--reference', photos, '--quiet'],
    );
    expect(given).toBe(0);
  });
});

describe('neighbors', () => {
  it('finds the nearest real images and how near they are to one another', async () => {
    await using san = await San.load(run);
    // Image i of seed s is of level 16 s + i here.
    const options = { data: photos, out: out('n.png'), count: 2, seed: 3, startIndex: 12, neighbors: 2 };
    const { samples, real, dataCount } = await findNeighbors(san, options);
    expect(
      samples.map(({ index, neighbors }) => [index, ...neighbors.map(({ name }) => name.slice(0, 1))]),
    ).toEqual([
      [12, '1', '0'],
      [13, '1', '2'],
    ]);
    expect(samples[0]).toMatchObject({ latentRank: 0, pixelRank: 0 });
    expect(samples[0]?.neighbors[0]?.latentDistance).toBe(0);
    expect(samples[0]?.neighbors[1]?.pixelDistance).toBeCloseTo(50 / 127.5, 9);
    expect(dataCount).toBe(5);
    expect(real.count).toBe(5);
    expect(real.latentDistance.median).toBeCloseTo(50 / 8, 5);
    expect(real.pixelDistance.median).toBeCloseTo(50 / 127.5, 9);
    const { width } = await sharp(out('n.png')).metadata();
    expect(width).toBe((3 * 9 + 1) * 8);
  });

  it('tells images apart that have the same name', async () => {
    const archive = out('twins.tar');
    const levels = [10, 200, 60];
    const files = levels.map(async (level) => ({ name: 'twin.png', content: await grey(level) }));
    await writeFile(archive, await tarOf(await Promise.all(files)));
    await using san = await San.load(run);
    const samples: ImageBatch = { data: new Uint8Array(64).fill(10), shape: [1, 8, 8, 1] };
    const found = await san.neighbors(samples, { data: archive, neighbors: 3 });
    const distances = found.samples[0]?.neighbors.map(({ index, pixelDistance }) => [index, pixelDistance]);
    const near = (levels: number) => expect.closeTo(levels / 127.5, 9);
    expect(distances).toEqual([0, 2, 1].map((index) => [index, near((levels[index] as number) - 10)]));
    expect([0, 1, 2].map((k) => found.images.data[k * 64])).toEqual([10, 60, 200]);
    expect(found.real.pixelDistance).toMatchObject({ smallest: near(50), median: near(50) });
  });

  it('holds few images at a time, however many there are', async () => {
    const data = out('many.npy');
    await writeFile(
      data,
      npyOf(
        [600, 8, 8],
        Uint8Array.from({ length: 600 * 64 }, (_, i) => (i >> 6) % 251),
      ),
    );
    await using san = await San.load(run);
    const read = vi.spyOn(RowReader.prototype, 'read');
    const { real } = await san.neighbors(await san.generate({ seed: 1, count: 2 }), { data });
    const most = Math.max(...read.mock.calls.map(([indices]) => indices.length));
    read.mockRestore();
    expect(real.count).toBe(500);
    expect(most).toBe(256);
  });

  it('refuses a single real image, which has none to be held against', async () => {
    const one = out('one');
    await mkdir(one);
    await writeFile(
      join(one, 'a.png'),
      await readFile(join(photos, (await readdir(photos)).sort()[0] as string)),
    );
    const told = /the data has one usable image, .* it takes at least 2 images/;
    expect(await cli('neighbors', run, one, '--out', out('n.png'), '--json')).toMatchObject({
      status: 1,
      err: expect.stringMatching(told),
    });
    await using san = await San.load(run);
    const data: ImageBatch = { data: new Uint8Array(64), shape: [1, 8, 8, 1] };
    await expect(san.neighbors(data, { data })).rejects.toMatchObject({
      name: 'DataError',
      code: 'ERR_SAN_DATA_EMPTY',
      message: expect.stringMatching(told),
    });
  });
});

describe('a strip alone', () => {
  it.each([{ fps: 5 }, { pingPong: true }])('has no use for %o', async (more) => {
    await using san = await San.load(run);
    const ends = { from: { seed: 1, index: 1 }, to: { seed: 1, index: 2 } };
    const [field] = Object.keys(more);
    await expect(interpolateImages(san, { ...ends, out: out('s.png'), ...more })).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      message: `${field} is for an animation; name a .webp file for one (animation)`,
      details: { field },
    });
    expect(await readdir(folder)).not.toContain('s.png');
  });
});

describe('bad input', () => {
  const commands: [string[], RegExp][] = [
    [
      ['reverse', 'RUN', 'PHOTOS', '--out', 'z.txt'],
      /ERR_SAN_OPTIONS: out = ".*": expected the path of a .npy file/,
    ],
    [['reverse', 'RUN', 'NOTHING', '--out', 'z.npy'], /ERR_SAN_DATA_NOT_FOUND: /],
    [
      ['reverse', 'RUN', 'PHOTOS', '--nams', 'z.csv', '--out', 'z.npy'],
      /ERR_SAN_USAGE: unknown flag --nams; did you mean --names\?/,
    ],
    [['reverse', 'RUN'], /ERR_SAN_USAGE: an argument is missing: san-native reverse <run> <data>/],
    [
      ['reconstruct', 'RUN', 'PHOTOS', '--out', 's.png', '--count', 'x'],
      /ERR_SAN_OPTIONS: --count = "x": expected a whole number/,
    ],
    [['reconstruct', 'NOTHING', 'PHOTOS', '--out', 's.png'], /ERR_SAN_CHECKPOINT_NOT_FOUND/],
    [['interpolate', 'RUN', '1', '2'], /ERR_SAN_USAGE: name a strip with --out/],
    [['interpolate', 'RUN', '1', '2', '--out', 's.webp'], /expected the path of a .png file/],
    [
      ['interpolate', 'RUN', '1', '2', '--out', 's.png', '--frames', '1'],
      /--frames = 1: expected a whole number from 2/,
    ],
    [
      ['interpolate', 'RUN', '1', '2', '--animation', 's.webp', '--fps', '0'],
      /fps = 0: expected a number from 1 to 100/,
    ],
    [
      ['interpolate', 'RUN', 'NOTHING', '2', '--out', 's.png'],
      /ERR_SAN_DATA_NOT_FOUND: cannot read the image/,
    ],
    [
      ['interpolate', 'RUN', 'PHOTOS/notes.txt', '2', '--out', 's.png'],
      /ERR_SAN_DATA_FORMAT: .* it is not an image/,
    ],
    [['neighbors', 'RUN', 'PHOTOS', '--out', 'n.png', '--neighbors', '0'], /--neighbors = 0/],
    [['neighbours', 'RUN'], /unknown command neighbours; did you mean neighbors\?/],
  ];
  it.each(commands)('san-native %j', async (words, message) => {
    const place = { RUN: run, PHOTOS: photos, NOTHING: out('nothing') };
    const argv = words.map((word) => word.replace(/^[A-Z]+/, (name) => place[name as keyof typeof place]));
    const before = process.cwd();
    process.chdir(folder);
    try {
      const { status, err } = await cli(...argv);
      expect(status).toBeGreaterThan(0);
      expect(err).toMatch(message);
      expect(err.trimEnd().split('\n')).toHaveLength(1);
    } finally {
      process.chdir(before);
    }
  });

  it('unknown options of the API get the nearest name', async () => {
    await using san = await San.load(run);
    await expect(
      scoreImages(san, { data: photos, out: 'x.csv', referense: 'y' } as never),
    ).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      message: 'unknown option "referense"; did you mean reference?',
    });
  });
});

describe('an output in the place of the input', () => {
  it('is refused by every function, and the input is untouched', async () => {
    await using san = await San.load(run);
    const [first, second] = (await readdir(photos)).sort().map((name) => join(photos, name)) as [
      string,
      string,
    ];
    const before = await readFile(first);
    const link = out('link');
    await symlink(photos, link);
    const png = join(link, 'new', 'x.png');
    const calls: [() => Promise<unknown>, string][] = [
      [() => reconstructImages(san, { data: photos, out: first }), 'out'],
      [() => reconstructImages(san, { data: photos, out: png }), 'out'],
      [() => reconstructImages(san, { data: link, out: first }), 'out'],
      [() => interpolateImages(san, { from: first, to: second, out: second }), 'out'],
      [() => findNeighbors(san, { data: photos, out: first }), 'out'],
    ];
    for (const [call, field] of calls) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT', details: { field } });
    }
    expect(await readFile(first)).toEqual(before);
    expect(await readdir(photos)).toHaveLength(6);
    // What is no picture may lie among them, and a file of pixels is not replaced.
    await scoreImages(san, { data: photos, out: join(photos, 'x.csv'), reference: photos });
    const { out: latents } = await reverseImages(san, { data: photos, out: out('z.npy') });
    const pixels = await readFile(latents);
    await expect(reverseImages(san, { data: latents, out: latents })).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
    });
    expect(await readFile(latents)).toEqual(pixels);
    const animation = out('a.webp');
    await sharp(first).webp().toFile(animation);
    await expect(interpolateImages(san, { from: first, to: animation, animation })).rejects.toMatchObject({
      message: `${animation} is the data ${animation} itself, which it would replace; choose another place`,
    });
  });

  it('is refused for a file, a link to it, and the files of a pattern; beside them all is well', async () => {
    await using san = await San.load(run);
    const mine = out('mine.npy');
    await reverseImages(san, { data: photos, out: mine });
    const link = out('link.npy');
    await symlink(mine, link);
    const before = await readFile(mine);
    for (const [data, path] of [
      [mine, mine],
      [link, mine],
      [mine, link],
      [out('m*.npy'), mine],
      [out('{mine,link}.npy'), link],
    ] as const) {
      await expect(reverseImages(san, { data, out: path })).rejects.toMatchObject({
        code: 'ERR_SAN_OUTPUT',
        message: `${path} is the data ${data} itself, which it would replace; choose another place`,
      });
    }
    expect(await readFile(mine)).toEqual(before);
    await reverseImages(san, { data: photos, out: `${photos}.npy` });
    await reverseImages(san, { data: photos, out: `${photos}.npy` });
  });
});

it('neighbors draws no more images after an abort', async () => {
  const stop = new AbortController();
  const addon = mirrorAddon();
  let drawn = 0;
  native.addon = {
    ...addon,
    createNetwork: async (options) => {
      const network = await addon.createNetwork(options);
      return {
        ...network,
        generate: async (set) => {
          drawn += set.count;
          stop.abort(new Error('enough'));
          return network.generate(set);
        },
      };
    },
  };
  await using san = await San.load(run);
  const options = { data: photos, out: out('n.png'), count: 10_000 };
  await expect(findNeighbors(san, options, { signal: stop.signal })).rejects.toThrow('enough');
  expect(drawn).toBeLessThan(200);
});

it('every function ends with the reason of an abort, and leaves no file', async () => {
  await using san = await San.load(run);
  const reason = new Error('enough');
  const control = { signal: AbortSignal.abort(reason) };
  const place = (name: string) => out(`new/${name}`);
  const calls = [
    () => reverseImages(san, { data: photos, out: place('z.npy') }, control),
    () => reconstructImages(san, { data: photos, out: place('s.png') }, control),
    () => interpolateImages(san, { from: '1', to: { seed: 1, index: 1 }, out: place('w.png') }, control),
    () => scoreImages(san, { data: photos, out: place('s.csv'), reference: photos }, control),
    () => findNeighbors(san, { data: photos, out: place('n.png') }, control),
  ];
  for (const call of calls) await expect(call()).rejects.toBe(reason);
  expect(await readdir(out('new'))).toEqual([]);
});
