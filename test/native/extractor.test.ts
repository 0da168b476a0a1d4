import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type ImageBatch, loadAddon } from '../../lib/native.js';
import { findPython } from './python.js';
import { images, uniforms } from './samples.js';
import { root } from './support.js';

const addon = loadAddon();
const script = join(root, 'test/native/extractor_oracle.py');
/** Tiny of extractor_oracle.py: the means of the three colours, and twice the first. */
const tiny = join(root, 'test/native/data/extractor.pt');

const folder = mkdtempSync(join(tmpdir(), 'san-extractor-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Mean of channel `c` of image `i`. */
function meanOf({ data, shape: [, height, width, channels] }: ImageBatch, i: number, c: number): number {
  let sum = 0;
  for (let k = 0; k < height * width; k++) sum += data[(i * height * width + k) * channels + c] as number;
  return sum / (height * width);
}

describe('the extractor kept with the tests', () => {
  test.each([
    ['the values of the images', {}, 1, 0],
    ['a range of their own', { range: [-1, 1] as [number, number] }, 2 / 255, -1],
  ])('gives features of %s, in any number of batches', async (_, options, scale, offset) => {
    const extractor = await addon.createExtractor({ path: tiny, ...options });
    const some = images(150, 9, 3, 1);
    const { data, shape } = await extractor.features({ images: some });
    expect(shape).toEqual([150, 4]);
    for (let i = 0; i < 150; i++)
      for (let k = 0; k < 4; k++) {
        const value = meanOf(some, i, k % 3) * scale + offset;
        expect(data[i * 4 + k]).toBeCloseTo(k === 3 ? 2 * value : value, 3);
      }
    await extractor.dispose();
  });

  test('takes grey images, oblong ones, and resizes', async () => {
    const extractor = await addon.createExtractor({ path: tiny, size: 48, threads: 1 });
    const grey = images(3, 24, 1, 1);
    const { data, shape } = await extractor.features({ images: grey });
    expect(shape).toEqual([3, 4]);
    for (let i = 0; i < 3; i++) {
      expect(data[4 * i + 1]).toBe(data[4 * i]);
      expect(data[4 * i + 2]).toBe(data[4 * i]);
      // Resizing moves the mean by what the borders weigh.
      expect(Math.abs((data[4 * i] as number) - meanOf(grey, i, 0))).toBeLessThan(1);
    }
    const oblong: ImageBatch = { data: new Uint8Array(10 * 20 * 3).fill(7), shape: [1, 10, 20, 3] };
    const flat = (await extractor.features({ images: oblong })).data;
    for (const [k, expected] of [7, 7, 7, 14].entries()) expect(flat[k]).toBeCloseTo(expected, 4);
    await extractor.dispose();
  });

  test('says what failed on images, and works on afterwards', async () => {
    const extractor = await addon.createExtractor({ path: tiny });
    await expect(extractor.features({ images: images(1, 13, 3, 1) })).rejects.toMatchObject({
      code: 'ERR_SAN_EXTRACTOR',
      message: expect.stringMatching(/extractor\.pt failed on images: .*thirteen pixels are unlucky/),
      details: { field: 'path' },
    });
    expect((await extractor.features({ images: images(1, 12, 3, 1) })).shape).toEqual([1, 4]);
    for (const bad of [images(0, 8, 3, 1), images(2, 8, 2, 1)])
      await expect(extractor.features({ images: bad })).rejects.toMatchObject({
        code: 'ERR_SAN_OPTIONS',
        details: { field: 'images.shape' },
      });
    await extractor.dispose();
  });

  test('memory that runs out within it is told as such', async () => {
    // Images of 4096 pixels a side: 64 of them take 13 GB a layer.
    const program = `
      import { loadAddon } from './dist/lib/native.js';
      const extractor = await loadAddon().createExtractor({ path: ${JSON.stringify(tiny)}, size: 4096, threads: 1 });
      const images = { data: new Uint8Array(64 * 16 * 16 * 3), shape: [64, 16, 16, 3] };
      await extractor.features({ images }).catch(({ code, message }) => console.log(code, message));`;
    const limited = [
      '-c',
      'ulimit -v 12000000; exec "$0" --input-type=module -e "$1"',
      process.execPath,
      program,
    ];
    const out = execFileSync('sh', limited, { cwd: root, encoding: 'utf8' });
    expect(out).toMatch(
      /^ERR_SAN_OUT_OF_MEMORY out of memory in the feature extractor .*smaller extractorSize/,
    );
  });

  test('is gone when disposed, and cannot be constructed', async () => {
    const extractor = await addon.createExtractor({ path: tiny });
    const Constructor = extractor.constructor as new (...args: unknown[]) => unknown;
    expect(() => new Constructor({})).toThrow(/cannot be constructed/);
    await extractor.dispose();
    await extractor.dispose();
    await expect(extractor.features({ images: images(1, 8, 3, 1) })).rejects.toMatchObject({
      code: 'ERR_SAN_DISPOSED',
    });
  });
});

describe('files that are no extractors', () => {
  const whole = readFileSync(tiny);
  const refused = async (path: string, message: RegExp) =>
    expect(addon.createExtractor({ path })).rejects.toMatchObject({
      code: 'ERR_SAN_EXTRACTOR',
      message: expect.stringMatching(message),
      details: { field: 'path' },
    });
  const written = (name: string, data: string | Uint8Array) => {
    const path = join(folder, name);
    writeFileSync(path, data);
    return path;
  };

  test('nothing, a folder, an endless file, text', async () => {
    await refused(join(folder, 'none.pt'), /none\.pt /);
    await refused(folder, /is not a file$/);
    await refused('/dev/zero', /is not a file$/);
    await refused(written('empty.pt', ''), /empty\.pt is not a TorchScript module: .+/);
    await refused(written('text.pt', 'no archive'), /text\.pt is not a TorchScript module: .+/);
    await expect(addon.createExtractor({ path: tiny }).then((one) => one.dispose())).resolves.toBeUndefined();
  });

  test('a file cut anywhere', async () => {
    for (let length = 1; length < whole.length; length += 97)
      await refused(
        written('cut.pt', whole.subarray(0, length)),
        /^[^\n]*cut\.pt is not a TorchScript module: [^\n]+$/,
      );
  });

  test('a file with wrong bytes is refused, fails on images, or works', async () => {
    const uniform = uniforms(1);
    const outcomes = new Map<string, number>();
    for (let attempt = 0; attempt < 60; attempt++) {
      const damaged = Buffer.from(whole);
      for (let k = 0; k < 1 + (attempt % 4); k++)
        damaged[Math.floor(uniform() * damaged.length)] = Math.floor(uniform() * 256);
      const outcome = await addon
        .createExtractor({ path: written('damaged.pt', damaged) })
        .then(async (extractor) => {
          await extractor.features({ images: images(2, 8, 3, 1) });
          return 'works';
        })
        .catch((error: { code: string }) => error.code);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect([...outcomes.keys()].sort()).toEqual(['ERR_SAN_EXTRACTOR', 'works']);
  });

  test.each<[string, object, string, RegExp]>([
    ['no path', {}, 'extractor.path', /must be a string/],
    ['an empty path', { path: '' }, 'extractor.path', /path of a file/],
    ['a path with a zero', { path: `${tiny}\0` }, 'extractor.path', /path of a file/],
    ['a size of 0', { path: tiny, size: 0 }, 'extractor.size', /integer from 1/],
    ['one number', { path: tiny, range: [1] }, 'extractor.range', /two different/],
    ['no numbers', { path: tiny, range: ['a', 'b'] }, 'extractor.range', /two numbers/],
    ['an empty range', { path: tiny, range: [1, 1] }, 'extractor.range', /two different/],
    ['another option', { path: tiny, batch: 3 }, 'extractor.batch', /not an option/],
  ])('options: %s', async (_, options, field, message) => {
    await expect(addon.createExtractor(options as never)).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      message: expect.stringMatching(message),
      details: { field },
    });
  });
});

const python = findPython('numpy, torch', 'the comparison of extractors with PyTorch');

test.skipIf(python === undefined)('extractors made by PyTorch give the same features here', async () => {
  const some = images(70, 40, 3, 4);
  writeFileSync(join(folder, 'images.bin'), some.data);
  writeFileSync(join(folder, 'images.json'), JSON.stringify({ file: 'images.bin', shape: some.shape }));
  const output = execFileSync(python as string, [script, 'compare', folder], { encoding: 'utf8' });
  const theirs = JSON.parse(output) as Record<'plain' | 'named', number[]>;
  const cases = [
    ['plain', { size: 24, range: [-1, 1] as [number, number] }, 6],
    ['named', {}, 8],
  ] as const;
  for (const [name, options, length] of cases) {
    const extractor = await addon.createExtractor({ path: join(folder, `${name}.pt`), ...options });
    const { data, shape } = await extractor.features({ images: some });
    expect(shape).toEqual([70, length]);
    const largest = Math.max(...theirs[name].map(Math.abs));
    const gap = Math.max(...theirs[name].map((value, i) => Math.abs(value - (data[i] as number))));
    console.log(`extractor ${name}: off by ${(gap / largest).toExponential(1)} of the largest feature`);
    expect(gap / largest).toBeLessThan(1e-5);
    await extractor.dispose();
  }
  const plain = await addon.createExtractor({ path: join(folder, 'plain.pt') });
  await expect(plain.features({ images: some })).rejects.toMatchObject({
    code: 'ERR_SAN_EXTRACTOR',
    message: expect.stringMatching(/plain\.pt failed on images: [^\n]+$/),
  });
  await plain.dispose();
});
