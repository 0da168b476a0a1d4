import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import sharp from 'sharp';
import { extract } from 'tar-stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { fromBuffer } from 'yauzl';
import type { GenerateControl } from '../../../lib/generation/generate-to.js';
import { type ImageSet, imageName } from '../../../lib/generation/sinks/sink.js';
import { temporaryFolder } from '../support/temporary.js';
import { digests, draw, SIZE, set, wanted } from './sinks-support.js';
import { pixels } from './support.js';

let folder = '';
beforeEach(async () => {
  folder = await temporaryFolder();
});

/** A run that ends in an error while image `index` is drawn. */
async function broken(target: string, index: number): Promise<void> {
  const fault = new Error('fault');
  const onDraw = ({ startIndex }: { startIndex: number }) => {
    if (startIndex >= index) throw fault;
  };
  await expect(draw(target, { onDraw }).done).rejects.toBe(fault);
}

const decode = async (files: readonly Buffer[]) =>
  Buffer.concat(await Promise.all(files.map((file) => sharp(file).raw().toBuffer())));

async function readTar(file: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const archive = extract();
  archive.end(file);
  for await (const entry of archive) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    files.set(entry.header.name, Buffer.concat(chunks));
  }
  return files;
}

function readZip(file: Buffer): Promise<Map<string, Buffer>> {
  return new Promise((resolve, reject) => {
    const files = new Map<string, Buffer>();
    fromBuffer(file, { lazyEntries: true }, (error, archive) => {
      if (error) return reject(error);
      archive.on('error', reject);
      archive.on('end', () => resolve(files));
      archive.on('entry', (entry) => {
        expect(entry.compressionMethod).toBe(0);
        archive.openReadStream(entry, async (fault, stream) => {
          if (fault) return reject(fault);
          const chunks: Buffer[] = [];
          for await (const chunk of stream) chunks.push(chunk as Buffer);
          files.set(entry.fileName, Buffer.concat(chunks));
          archive.readEntry();
        });
      });
      archive.readEntry();
    });
  });
}

const names = Array.from({ length: set.count }, (_, i) => imageName(4 + i));
const TARGETS = ['drawn', 'drawn.tar', 'drawn.zip', 'drawn.npy'];

describe('every format holds the very pixels', () => {
  it('a folder of PNG files', async () => {
    expect(await draw(join(folder, 'drawn')).done).toMatchObject({ count: 50, drawn: 50, kept: 0 });
    expect((await readdir(join(folder, 'drawn'))).sort()).toEqual([...names, 'manifest.json']);
    const files = await Promise.all(names.map((name) => readFile(join(folder, 'drawn', name))));
    expect(Buffer.compare(await decode(files), wanted)).toBe(0);
  });

  it.each([
    ['tar', readTar],
    ['zip', readZip],
  ] as const)('a .%s', async (format, read) => {
    const path = join(folder, `some/where/drawn.${format}`);
    await draw(path).done;
    const files = await read(await readFile(path));
    expect([...files.keys()]).toEqual(names);
    expect(Buffer.compare(await decode([...files.values()]), wanted)).toBe(0);
    expect((await readdir(join(folder, 'some/where'))).sort()).toEqual([
      `drawn.${format}`,
      `drawn.${format}.manifest.json`,
    ]);
  });

  it('an .npy', async () => {
    await draw(join(folder, 'drawn.npy')).done;
    const file = await readFile(join(folder, 'drawn.npy'));
    expect(file.subarray(0, 8).toString('latin1')).toBe('\x93NUMPY\x01\x00');
    const start = 10 + file.readUInt16LE(8);
    expect(start % 64).toBe(0);
    expect(file.toString('latin1', 10, start)).toMatch(
      /^{'descr': '\|u1', 'fortran_order': False, 'shape': \(50, 5, 5, 3\), } *\n$/,
    );
    expect(Buffer.compare(file.subarray(start), wanted)).toBe(0);
  });

  it('a stream, which stays open', async () => {
    const stream = new PassThrough();
    const gathered = text(stream.setEncoding('latin1'));
    const listeners = stream.listenerCount('error');
    await draw(stream).done;
    expect(stream.writableEnded).toBe(false);
    expect(stream.listenerCount('error')).toBe(listeners);
    stream.end();
    expect(Buffer.from(await gathered, 'latin1').equals(wanted)).toBe(true);
  });

  it.each(TARGETS)('grey images too: %s', async (name) => {
    await draw(join(folder, name), { changes: { imageChannels: 1, count: 3 } }).done;
    const grey = Buffer.concat([4, 5, 6].map((index) => pixels(2, index, SIZE * SIZE)));
    const path = join(folder, name);
    if (name === 'drawn.npy') {
      expect((await readFile(path)).subarray(-grey.length).equals(grey)).toBe(true);
      return;
    }
    const files =
      name === 'drawn'
        ? await Promise.all(names.slice(0, 3).map((entry) => readFile(join(path, entry))))
        : [...(await (name === 'drawn.tar' ? readTar : readZip)(await readFile(path))).values()];
    for (const file of files) expect(file[25]).toBe(0);
    const decoded = await Promise.all(files.map((file) => sharp(file).toColourspace('b-w').raw().toBuffer()));
    expect(Buffer.concat(decoded).equals(grey)).toBe(true);
  });
});

describe.each(TARGETS)('%s', (name) => {
  it('is gone on with after an error and ends with the bytes of an unbroken run', async () => {
    await draw(join(folder, `whole-${name}`)).done;
    const path = join(folder, name);
    for (const index of [4, 20, 21, 44]) {
      await broken(path, index);
      if (name !== 'drawn') expect(existsSync(path)).toBe(false);
    }
    const { done, asked } = draw(path);
    const { drawn, kept } = await done;
    expect(kept).toBeGreaterThanOrEqual(32);
    expect(drawn + kept).toBe(50);
    expect(asked[0]?.startIndex).toBe(4 + kept);
    expect(await digests(path)).toEqual(await digests(join(folder, `whole-${name}`)));
    expect((await readdir(folder)).filter((entry) => entry.includes('partial'))).toEqual([]);
  });

  it('that is finished is left alone', async () => {
    const path = join(folder, name);
    await draw(path).done;
    const before = await digests(path);
    const { done, asked } = draw(path);
    expect(await done).toMatchObject({ count: 50, drawn: 0, kept: 50 });
    expect(asked).toEqual([]);
    expect(await digests(path)).toEqual(before);
  });

  it.each<[Partial<ImageSet>, RegExp]>([
    [{ seed: 3 }, /with seed 2, not 3; remove it or choose another place$/],
    [{ truncation: 0.5 }, /with truncation none, not 0.5/],
    [{ precision: 'bf16' }, /begun in fp32, not bf16/],
    [{ checkpoint: 'd'.repeat(64), step: 12 }, /with checkpoint cccccccccccc \(step 9\), not dddddddddddd/],
  ])('refuses another set: %o', async (changes, message) => {
    const path = join(folder, name);
    await draw(path).done;
    const before = await digests(path);
    const refused = { code: 'ERR_SAN_OUTPUT', message: expect.stringMatching(message) };
    await expect(draw(path, { changes }).done).rejects.toMatchObject(refused);
    expect(await digests(path)).toEqual(before);
    await broken(join(folder, `cut-${name}`), 20);
    await expect(draw(join(folder, `cut-${name}`), { changes }).done).rejects.toMatchObject(refused);
  });

  it('is kept up to where an abort came', async () => {
    const controller = new AbortController();
    const reason = new Error('stop');
    const onImages = ({ startIndex }: { startIndex: number }) => {
      if (startIndex === 20) controller.abort(reason);
    };
    const path = join(folder, name);
    const control = { signal: controller.signal, onImages };
    await expect(draw(path, { control }).done).rejects.toBe(reason);
    expect(await draw(path).done).toMatchObject({ kept: 24, drawn: 26 });
  });

  it('has one writer at a time', async () => {
    const path = join(folder, name);
    let second: Promise<unknown> | undefined;
    const onDraw = async () => {
      second ??= expect(draw(path).done).rejects.toMatchObject({
        code: 'ERR_SAN_OUTPUT',
        message: expect.stringContaining(`is in use by process ${process.pid}`),
      });
      await second;
    };
    await draw(path, { onDraw }).done;
  });
});

describe('a folder', () => {
  it('takes more images of its seed, fills gaps and draws damaged files again', async () => {
    const path = join(folder, 'drawn');
    await draw(path, { changes: { count: 20 } }).done;
    const before = await digests(path);
    await rm(join(path, imageName(7)));
    await truncate(join(path, imageName(9)), 60);
    await writeFile(join(path, imageName(10)), '');
    await writeFile(join(path, '.san-00-00.tmp'), 'left by a kill');
    await writeFile(join(path, 'notes.txt'), 'mine');
    const seen: unknown[] = [];
    const control: GenerateControl = {
      onProgress: ({ phase, done, total }) => seen.push([phase, done, total]),
    };
    const { done, asked } = draw(path, { changes: { count: 22 }, control });
    expect(await done).toMatchObject({ count: 22, drawn: 5, kept: 17 });
    expect(asked).toEqual([
      { startIndex: 7, count: 1 },
      { startIndex: 9, count: 2 },
      { startIndex: 24, count: 2 },
    ]);
    expect(seen).toContainEqual(['checking', 19, 19]);
    expect(seen.at(-1)).toEqual(['drawing', 5, 5]);
    expect(await digests(path)).toMatchObject(before);
    expect((await readdir(path)).filter((entry) => !/^0\d+\.png$/.test(entry)).sort()).toEqual([
      'manifest.json',
      'notes.txt',
    ]);
  });

  it.each(['cat.png', 'holiday.JPEG', 'a.webp'])(
    'of foreign pictures such as %s is refused and left as it was',
    async (name) => {
      const path = join(folder, 'mine');
      await mkdir(path);
      await writeFile(join(path, 'notes.txt'), 'mine');
      await writeFile(join(path, name), 'mine');
      await expect(draw(path).done).rejects.toMatchObject({
        code: 'ERR_SAN_OUTPUT',
        message: expect.stringContaining(`mine holds images (${name}) without a manifest.json`),
      });
      expect((await readdir(path)).sort()).toEqual([name, 'notes.txt'].sort());
      await rm(join(path, name));
      expect(await draw(path).done).toMatchObject({ drawn: 50 });
      // What came later, such as a sheet, does not keep the set from being gone on with.
      await writeFile(join(path, name), 'a sheet');
      expect(await draw(path).done).toMatchObject({ drawn: 0, kept: 50 });
    },
  );

  it.each(['x.rar', 'd.7z', 'd.bin', 'd.safetensors', 'd.tra'])('is not made of %s', async (name) => {
    await expect(draw(join(folder, name)).done).rejects.toThrow(/^cannot write images as \.\w+ /);
    expect(await readdir(folder)).toEqual([]);
    await mkdir(join(folder, name));
    expect(await draw(join(folder, name)).done).toMatchObject({ kept: 0 });
  });

  it.each(['v1.2', 'run.v2', 'x.rar/', '.hidden', 'a.longestending'])('is made of %s', async (name) => {
    expect(await draw(join(folder, name)).done).toMatchObject({ kept: 0 });
  });

  it('of folders with pictures, also behind a link, is refused and left as it was', async () => {
    const path = join(folder, 'nest');
    await mkdir(join(path, 'pets/cats'), { recursive: true });
    await mkdir(join(path, '.hidden'));
    await writeFile(join(path, '.hidden/b.png'), 'mine');
    await writeFile(join(path, 'pets/cats/notes.txt'), 'mine');
    await writeFile(join(path, 'pets/cats/a.jpg'), 'mine');
    const refused = { code: 'ERR_SAN_OUTPUT', message: expect.stringContaining('nest holds images (pets/') };
    await expect(draw(path).done).rejects.toMatchObject(refused);
    expect((await readdir(path)).sort()).toEqual(['.hidden', 'pets']);
    await mkdir(join(folder, 'linked'));
    await symlink(join(path, 'pets'), join(folder, 'linked/elsewhere'));
    await expect(draw(join(folder, 'linked')).done).rejects.toMatchObject({
      message: expect.stringContaining('linked holds images (elsewhere/cats/a.jpg)'),
    });
    await rm(join(path, 'pets/cats/a.jpg'));
    expect(await draw(path).done).toMatchObject({ drawn: 50 });
  });

  it('of numbered images from elsewhere is refused, and so is a file in its place', async () => {
    await mkdir(join(folder, 'other'));
    await writeFile(join(folder, 'other/000000001.png'), '');
    await expect(draw(join(folder, 'other')).done).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringContaining('other holds images (000000001.png) without a manifest.json'),
    });
    await writeFile(join(folder, 'file'), '');
    await expect(draw(join(folder, 'file')).done).rejects.toMatchObject({
      message: expect.stringContaining('it is a file'),
    });
    await writeFile(join(folder, 'other/manifest.json'), '{"format":"mine"}');
    await expect(draw(join(folder, 'other')).done).rejects.toMatchObject({
      message: expect.stringContaining('is not a manifest of generated images'),
    });
  });
});

describe('a file', () => {
  it('of unknown origin is refused, and one that was changed', async () => {
    const path = join(folder, 'drawn.tar');
    await writeFile(path, 'mine');
    await expect(draw(path).done).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringMatching(/drawn\.tar is there already, without a .*drawn\.tar\.manifest\.json/),
    });
    expect(await readFile(path, 'utf8')).toBe('mine');
    await rm(path);
    await draw(path).done;
    const { size } = await stat(path);
    await truncate(path, size - 512);
    await expect(draw(path).done).rejects.toMatchObject({
      message: expect.stringContaining(`has ${size - 512} bytes where ${size} were written`),
    });
    await mkdir(join(folder, 'folder.tar'));
    await expect(draw(join(folder, 'folder.tar')).done).rejects.toMatchObject({
      message: expect.stringContaining('is a folder'),
    });
  });

  it('of another range is refused', async () => {
    const path = join(folder, 'drawn.zip');
    await draw(path).done;
    for (const [changes, words] of [
      [{ count: 51 }, 'with count 50, not 51'],
      [{ startIndex: 5 }, 'from index 4, not 5'],
    ] as const) {
      await expect(draw(path, { changes }).done).rejects.toMatchObject({
        message: expect.stringContaining(words),
      });
    }
  });

  it.each(['tar', 'zip', 'npy'])(
    '.%s: what was not yet safe is cut off, and less than that begins anew',
    async (format) => {
      const [whole, path] = [join(folder, `whole.${format}`), join(folder, `drawn.${format}`)];
      await draw(whole).done;
      for (const change of [
        (data: string) => writeFile(data, 'half an image', { flag: 'a' }),
        (data: string) => truncate(data, 100),
      ]) {
        await broken(path, 30);
        await change(join(`${path}.partial`, 'data'));
        await draw(path).done;
        expect(await digests(path)).toEqual(await digests(whole));
        await rm(path);
      }
    },
  );

  it.each(['tar', 'zip', 'npy'])('.%s: a kill while it is finished does no harm', async (format) => {
    const path = join(folder, `drawn.${format}`);
    await draw(path).done;
    const whole = await digests(path);
    const manifest = JSON.parse(await readFile(`${path}.manifest.json`, 'utf8'));
    const partial = `${path}.partial`;
    // All images safe, the end written but not known to be.
    await mkdir(partial);
    await rename(path, join(partial, 'data'));
    const { size } = await stat(join(partial, 'data'));
    const tail =
      { tar: 1024, zip: size - endOfFiles(await readFile(join(partial, 'data'))), npy: 0 }[format] ?? 0;
    await writeFile(join(partial, 'manifest.json'), JSON.stringify({ ...manifest, bytes: size - tail }));
    const { done, asked } = draw(path);
    expect(await done).toMatchObject({ drawn: 0, kept: 50 });
    expect(asked).toEqual([]);
    expect(await digests(path)).toEqual(whole);
    // In its place, the folder not yet gone.
    await mkdir(partial);
    await writeFile(join(partial, 'manifest.json'), JSON.stringify(manifest));
    expect(await draw(path).done).toMatchObject({ drawn: 0 });
    expect(existsSync(partial)).toBe(false);
  });

  it('of more than 65,535 images is a zip64 archive that another program reads', async () => {
    const path = join(folder, 'many.zip');
    const count = 65_536;
    const { done } = draw(path, { changes: { count, imageSize: 1, imageChannels: 1, startIndex: 0 } });
    await done;
    const files = await readZip(await readFile(path));
    expect(files.size).toBe(count);
    expect(files.has(imageName(count - 1))).toBe(true);
  }, 60_000);
});

/** Where the central directory of a small zip archive begins. */
function endOfFiles(zip: Buffer): number {
  return zip.length >= 22 ? zip.readUInt32LE(zip.length - 6) : 0;
}
