import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodePng, isWholePng } from '../../../lib/generation/sinks/png.js';
import { encodePngs } from '../../../lib/generation/sinks/png-pool.js';

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
