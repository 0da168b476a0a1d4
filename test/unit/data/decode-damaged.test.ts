import { crc32 } from 'node:zlib';
import type { Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { decoded, RED, raw, reason, SIZE, solid } from './decoding.js';

describe('a damaged image', () => {
  const noisy = () => {
    let state = 1;
    const noise = new Uint8Array(200 * 200 * 3).map(() => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state >> 16;
    });
    return raw(noise, 200, 200, 3);
  };

  it.each<[string, () => Sharp]>([
    ['PNG', () => noisy().png()],
    ['interlaced PNG', () => noisy().png({ progressive: true })],
    ['JPEG', () => noisy().jpeg()],
    ['progressive JPEG', () => noisy().jpeg({ progressive: true })],
    ['WebP', () => noisy().webp()],
    ['lossless WebP', () => noisy().webp({ lossless: true })],
    ['GIF', () => noisy().gif()],
    ['AVIF', () => noisy().avif({ effort: 0 })],
    ['TIFF', () => noisy().tiff()],
  ])('is refused when it was cut short: %s', async (_, encode) => {
    const file = await encode().toBuffer();
    await decoded(file);
    for (const part of [0.1, 0.5, 0.9, 0.99]) {
      const cut = file.subarray(0, Math.floor(file.length * part));
      expect(await reason(cut)).toMatch(
        /^it is (cut short|damaged, cut short or an unsupported sort of \w+)$/,
      );
    }
  });

  it.each([
    ['JPEG', {}],
    ['progressive JPEG', { progressive: true }],
  ])('is refused when an end was put behind the part of a %s that is left', async (_, options) => {
    const file = await noisy().jpeg(options).toBuffer();
    const parts = [0.3, 0.5, 0.7, 0.9].map((part) => file.subarray(0, Math.floor(file.length * part)));
    // Many at a time: what is said of one is not to be said of another.
    const cut = parts.map((part) => reason(Buffer.concat([part, Buffer.from([0xff, 0xd9])])));
    const whole = parts.map(() => decoded(file));
    expect(await Promise.all(cut)).toEqual(parts.map(() => 'it is cut short'));
    expect(new Set((await Promise.all(whole)).map(String)).size).toBe(1);
  });

  it('is refused when a GIF has too few pixels, or colours that it lacks', async () => {
    const header = [...Buffer.from('GIF89a'), 2, 0, 1, 0, 0xf0, 0, 0, 10, 10, 10, 20, 20, 20];
    const picture = (width: number) => [0x2c, 0, 0, 0, 0, width, 0, 1, 0, 0];
    const gif = (width: number, ...data: number[]) =>
      Buffer.from([...header, ...picture(width), ...data, 0, 0x3b]);
    // Codes of three bits: clear (4), colours, end (5).
    const codes = (...list: number[]) => {
      const bits = list.reduce((sum, code, i) => sum + code * 8 ** i, 0);
      return [2, 2, bits & 255, bits >> 8];
    };
    expect([...(await decoded(gif(2, ...codes(4, 0, 1, 5)), { imageSize: 1, crop: 'stretch' }))]).toEqual([
      15, 15, 15,
    ]);
    expect(await reason(gif(2, ...codes(4, 0, 5)))).toBe('it is cut short');
    expect(await reason(gif(2, ...codes(4, 0, 1)))).toBe('it is cut short');
    expect(await reason(gif(2, ...codes(4, 0, 3, 5)))).toBe('it has colours that are not in its palette');
    expect(await reason(gif(1, ...codes(4, 0, 5)))).toBe('its first picture does not fill it');
    expect(await reason(Buffer.from([...header, 0x3b]))).toBe('it has no picture in it');
    const file = await noisy().gif().toBuffer();
    for (let at = 14; at < file.length; at += 97) {
      expect(await reason(file.subarray(0, at))).toMatch(/^it is (cut short|damaged)/);
      expect(await reason(Buffer.concat([file.subarray(0, at), Buffer.from([0, 0x3b])]))).toMatch(/^it/);
    }
  });

  it('is used when its pixels are complete and only the end of the file is missing', async () => {
    const file = await noisy().png().toBuffer();
    const withoutEnd = file.subarray(0, -12);
    expect(String(await decoded(withoutEnd))).toBe(String(await decoded(file)));
    // Oddities that harm no pixel: a byte too many before a marker of a JPEG, bytes behind its end.
    const jpeg = await noisy().jpeg().toBuffer();
    expect(String(await decoded(Buffer.concat([jpeg, Buffer.from('more')])))).toBe(
      String(await decoded(jpeg)),
    );
  });

  it('is refused when a checksum is wrong', async () => {
    const file = await noisy().png().toBuffer();
    file[file.length >> 1] = (file[file.length >> 1] as number) ^ 0x55;
    expect(await reason(file)).toContain('damaged');
  });

  it('is refused before it takes memory for the size that it announces', async () => {
    const file = await solid(RED).png().toBuffer();
    // Width and height of the header chunk; its checksum then is wrong as well, which would be noticed later.
    file.writeUInt32BE(100_000, 16);
    file.writeUInt32BE(100_000, 20);
    file.writeUInt32BE(crc32(file.subarray(12, 29)), 29);
    expect(await reason(file)).toBe('it has 100000×100000 pixels; at most 100 million are read (maxPixels)');
    expect(await reason(await solid(RED).png().toBuffer(), { maxPixels: SIZE * SIZE - 1 })).toContain(
      '(maxPixels)',
    );
  });
});
