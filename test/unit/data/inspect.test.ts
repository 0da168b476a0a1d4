import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { inspectData } from '../../../lib/data/inspect.js';
import { cli } from '../support/cli.js';
import { temporaryFolder } from '../support/temporary.js';
import { folderOf, shade } from './prepared/support.js';
import { npyOf } from './sources/support.js';

const picture = (width: number, height: number, channels: 3 | 4) =>
  sharp({ create: { width, height, channels, background: { r: 200, g: 100, b: 50, alpha: 0.5 } } });

async function source(): Promise<string> {
  return folderOf({
    'cats/a.png': 0,
    'cats/b.png': 100,
    'cats/b-again.png': 100,
    'dogs/c.jpg': await picture(40, 20, 3).jpeg().toBuffer(),
    'dogs/turned.jpg': await picture(40, 20, 3).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    'dogs/clear.webp': await picture(10, 10, 4).webp().toBuffer(),
    'dogs/print.jpg': await picture(10, 10, 3).toColourspace('cmyk').jpeg().toBuffer(),
    'dogs/cut.png': (await shade(9)).subarray(0, 60),
    'notes.txt': 'text',
  });
}

describe('inspectData()', () => {
  it('tells what is there and what would be skipped', async () => {
    const path = await source();
    const progress: number[] = [];
    const report = await inspectData({ source: path }, { onProgress: (done) => progress.push(done) });
    expect(report).toMatchObject({
      source: { kind: 'folder', path },
      images: 7,
      formats: { JPEG: 3, PNG: 3, WebP: 1 },
      sizes: { '8×8': 3, '10×10': 2, '20×40': 1, '40×20': 1 },
      width: { min: 8, max: 40 },
      height: { min: 8, max: 40 },
      colours: { grey: 3, colour: 3, CMYK: 1 },
      alpha: 1,
      labels: { cats: 3, dogs: 4 },
      duplicates: { count: 1, examples: [{ path: 'cats/b.png', of: 'cats/b-again.png' }] },
    });
    expect(report.skipped.map(({ path: skipped }) => skipped)).toEqual(['dogs/cut.png', 'notes.txt']);
    expect(report.mean?.shape).toEqual([1, 32, 32, 3]);
    expect(report.sheet?.shape).toEqual([7, 32, 32, 3]);
    expect(report.meanColour[0]).toBeGreaterThan(report.meanColour[2] as number);
    expect(progress).toEqual(progress.map((_, i) => i + 1));
  });

  it('takes plain pixels for duplicates only where their shape is one, too', async () => {
    const pixels = new Uint8Array(32).fill(7);
    const path = await folderOf({
      'a.npy': npyOf([2, 2, 8], pixels),
      'b.npy': npyOf([2, 4, 4], pixels),
      'c.npy': npyOf([1, 4, 8], pixels),
    });
    const { duplicates } = await inspectData({ source: path });
    expect(duplicates).toEqual({
      count: 2,
      examples: [
        { path: 'a.npy[1]', of: 'a.npy[0]' },
        { path: 'b.npy[1]', of: 'b.npy[0]' },
      ],
    });
  });

  it('spreads the sheet over sources of any length', async () => {
    const path = await folderOf(
      Object.fromEntries(Array.from({ length: 23 }, (_, i) => [String(i).padStart(2, '0'), i])),
    );
    for (const sheetCount of [1, 2, 3, 5, 8, 23, 64]) {
      const { sheet, mean, meanColour } = await inspectData({
        source: path,
        imageSize: 4,
        imageChannels: 1,
        sheetCount,
      });
      const shown = Array.from({ length: sheet?.shape[0] ?? 0 }, (_, i) => sheet?.data[16 * i] as number);
      expect(shown).toHaveLength(Math.min(23, sheetCount));
      expect(new Set(shown).size).toBe(shown.length);
      expect(shown[0]).toBe(0);
      // No gap is more than four times the even one.
      const gaps = [...shown.slice(1), 23].map((value, i) => value - (shown[i] as number));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(4 * Math.ceil(23 / shown.length));
      expect(mean?.data[0]).toBe(11);
      expect(meanColour).toEqual([11]);
    }
  });

  it.each([0, -1, 1.5, 4097, '8', Number.NaN])('refuses a sheet of %s images', async (sheetCount) => {
    await expect(inspectData({ source: 'photos', sheetCount: sheetCount as number })).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field: 'sheetCount' },
    });
  });

  it('has nothing to say of an empty folder', async () => {
    const report = await inspectData({ source: await temporaryFolder() });
    expect(report).toMatchObject({ images: 0, skipped: [], formats: {}, width: { min: 0, max: 0 } });
    expect(report.sheet).toBeUndefined();
  });
});

describe('san-native data', () => {
  it.each(['sheet', 'mean'])('does not draw --%s into the data', async (flag) => {
    const path = await source();
    const picture = join(path, 'cats', 'a.png');
    const before = await readFile(picture);
    const { status, err } = await cli('data', path, `--${flag}`, picture);
    expect({ status, err }).toEqual({
      status: 1,
      err: expect.stringMatching(
        /ERR_SAN_OUTPUT: .*a\.png lies in the data .*; choose a place outside of it\n/,
      ),
    });
    expect(await readFile(picture)).toEqual(before);
  });

  it('says it in words and in JSON, and draws', async () => {
    const path = await source();
    const folder = await temporaryFolder();
    const { status, out, err } = await cli(
      'data',
      path,
      '--sheet',
      join(folder, 'new', 'sheet.png'),
      '--mean',
      join(folder, 'mean.png'),
    );
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(/^images {7}7 in .* \(folder\), [\d.]+ kB\n/);
    for (const line of [
      'formats      JPEG 3, PNG 3, WebP 1',
      'sizes        8×8 3, 10×10 2, 20×40 1, 40×20 1',
      'colours      colour 3, grey 3, CMYK 1; 1 with transparency',
      'classes      2: cats 3, dogs 4',
      'duplicates   1 of earlier images',
      '  cats/b.png = cats/b-again.png',
      'skipped      2:',
    ]) {
      expect(out.split('\n')).toContain(line);
    }
    expect(await sharp(join(folder, 'new', 'sheet.png')).metadata()).toMatchObject({
      format: 'png',
      width: 200,
    });
    expect(await sharp(await readFile(join(folder, 'mean.png'))).metadata()).toMatchObject({ width: 68 });
    const json = await cli('data', path, '--json', '--size', '4', '--channels', '1');
    expect(JSON.parse(json.out)).toMatchObject({ images: 7, wrote: [], meanColour: [expect.any(Number)] });
    expect((await cli('data', path, '--sheet', 'sheet.jpg')).status).toBe(2);
    expect((await cli('data', path, '--crop', 'contian')).err).toContain('did you mean contain?');
    await writeFile(join(folder, 'x.txt'), 'text');
    expect((await cli('data', join(folder, 'x.txt'))).err).toMatch(/^error ERR_SAN_DATA_FORMAT/);
  });
});
