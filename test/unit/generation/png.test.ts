import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { Piscina } from 'piscina';
import sharp from 'sharp';
import { describe, expect, it, vi } from 'vitest';
import { OutputError } from '../../../lib/errors.js';
import { encodePng, isWholePng } from '../../../lib/generation/sinks/png.js';
import { encodePngs, placePngs } from '../../../lib/generation/sinks/png-pool.js';
import type { IndexedImages } from '../../../lib/generation/stream.js';
import type { ImageBatch } from '../../../lib/native.js';
import { temporaryFolder } from '../support/temporary.js';

const shapes = fc.record({
  width: fc.integer({ min: 1, max: 40 }),
  height: fc.integer({ min: 1, max: 40 }),
  channels: fc.constantFrom(1, 3),
});
const image = shapes.chain(({ width, height, channels }) =>
  fc
    .uint8Array({ minLength: width * height * channels, maxLength: width * height * channels })
    .map((data) => ({ data, width, height, channels })),
);

describe('encodePng', () => {
  it('gives grey or RGB, 8-bit, without alpha, that decodes to the very pixels', async () => {
    await fc.assert(
      fc.asyncProperty(image, async ({ data, width, height, channels }) => {
        const file = encodePng({ data, shape: [1, height, width, channels] }, 0);
        const [depth, colourType] = [file[24], file[25]];
        expect([depth, colourType]).toEqual([8, channels === 1 ? 0 : 2]);
        const decoded = await sharp(file)
          .toColourspace(channels === 1 ? 'b-w' : 'srgb')
          .raw()
          .toBuffer({ resolveWithObject: true });
        expect(decoded.info).toMatchObject({ width, height, channels });
        expect(Buffer.compare(decoded.data, data)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('encodes each image of a batch', async () => {
    const data = Uint8Array.from({ length: 3 * 4 }, (_, i) => i * 20);
    const files = await encodePngs({ data, shape: [3, 2, 2, 1] });
    for (const [i, file] of files.entries()) {
      const decoded = await sharp(file).toColourspace('b-w').raw().toBuffer();
      expect([...decoded]).toEqual([...data.subarray(i * 4, i * 4 + 4)]);
    }
  });
});

describe('encodePngs', () => {
  it('keeps the order of more images than one thread takes at a time', async () => {
    const count = 75;
    const data = Uint8Array.from({ length: count * 6 }, (_, i) => (i * 7) % 256);
    const files = await encodePngs({ data, shape: [count, 1, 2, 3] });
    expect(files.length).toBe(count);
    for (const [i, file] of files.entries()) {
      const decoded = await sharp(file).raw().toBuffer();
      expect([...decoded]).toEqual([...data.subarray(i * 6, i * 6 + 6)]);
    }
    expect(data[0]).toBe(0);
    expect(data[449]).toBe((449 * 7) % 256);
  });

  it('uses no more threads than it is given', async () => {
    let [running, most] = [0, 0];
    const run = Piscina.prototype.run;
    const spy = vi.spyOn(Piscina.prototype, 'run').mockImplementation(async function (
      this: Piscina,
      ...given
    ) {
      most = Math.max(most, ++running);
      try {
        return await run.apply(this, given);
      } finally {
        running--;
      }
    });
    try {
      const images = { data: new Uint8Array(200 * 3), shape: [200, 1, 1, 3] } as ImageBatch;
      for (const threads of [1, 2]) {
        most = 0;
        expect((await encodePngs(images, threads)).length).toBe(200);
        expect(most).toBe(threads);
      }
    } finally {
      spy.mockRestore();
    }
  });

  it('gives none for none', async () => {
    expect(await encodePngs({ data: new Uint8Array(0), shape: [0, 4, 4, 3] })).toEqual([]);
  });
});

describe('placePngs', () => {
  const images = { data: new Uint8Array(70 * 3), shape: [70, 1, 1, 3], startIndex: 30 } as IndexedImages;

  it('writes files by their names, and nothing else', async () => {
    const folder = await temporaryFolder();
    await placePngs(images, folder);
    expect((await readdir(folder)).sort()).toEqual(
      Array.from({ length: 70 }, (_, i) => `${String(30 + i).padStart(9, '0')}.png`),
    );
  });

  it('says which file cannot be written, and goes on working', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, '000000031.png'));
    const error = await placePngs(images, folder).catch((error) => error);
    expect(error).toBeInstanceOf(OutputError);
    expect(error.message).toMatch(/cannot write .*000000031\.png: /);
    expect(error.details.path).toBe(join(folder, '000000031.png'));
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const missing = await placePngs(images, join(folder, 'none')).catch((error) => error);
    expect(missing.message).toContain('no such file or folder');
    await placePngs(images, await temporaryFolder());
  });
});

describe('isWholePng', () => {
  const data = Uint8Array.from({ length: 7 * 7 * 3 }, (_, i) => (i * 37) % 256);
  const batch = { data, shape: [1, 7, 7, 3] as [number, number, number, number] };

  it('knows whole files of the right size and colours', async () => {
    const file = encodePng(batch, 0);
    expect(isWholePng(file, 7, 3)).toBe(true);
    expect(isWholePng(file, 8, 3)).toBe(false);
    expect(isWholePng(file, 7, 1)).toBe(false);
    expect(isWholePng(await sharp(file).png().toBuffer(), 7, 3)).toBe(true);
    expect(isWholePng(await sharp(file).jpeg().toBuffer(), 7, 3)).toBe(false);
  });

  it('sees every cut and every changed byte', async () => {
    const file = encodePng(batch, 0);
    for (let length = 0; length < file.length; length++)
      expect(isWholePng(file.subarray(0, length), 7, 3)).toBe(false);
    expect(isWholePng(Buffer.concat([file, Buffer.from([0])]), 7, 3)).toBe(false);
    for (let at = 0; at < file.length; at++) {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] as number) ^ 0x11;
      expect(isWholePng(changed, 7, 3), `byte ${at}`).toBe(false);
    }
  });
});
