import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { convertPixels, decodeImage } from '../../../lib/data/decode.js';
import { type ImageKind, imageKind } from '../../../lib/data/kind.js';
import {
  BLUE,
  type Colour,
  decoded,
  distance,
  GREEN,
  plain,
  quarters,
  RED,
  raw,
  repeated,
  SIZE,
  solid,
  YELLOW,
} from './decoding.js';

/** A grey TIFF of SIZE x SIZE samples, all zero bytes, of a format (1 unsigned, 2 signed, 3 floating) and so many bits. */
function tiffOf(format: number, bits: number): Buffer {
  const bytes = (SIZE * SIZE * bits) / 8;
  const tags = [
    [256, SIZE],
    [257, SIZE],
    [258, bits],
    [259, 1],
    [262, 1],
    [273, 8],
    [277, 1],
    [278, SIZE],
    [279, bytes],
    [339, format],
  ];
  const directory = Buffer.alloc(2 + 12 * tags.length + 4);
  directory.writeUInt16LE(tags.length);
  for (const [k, [tag = 0, value = 0]] of tags.entries()) {
    directory.writeUInt16LE(tag, 2 + 12 * k);
    directory.writeUInt16LE(4, 4 + 12 * k); // a 32-bit number
    directory.writeUInt32LE(1, 6 + 12 * k);
    directory.writeUInt32LE(value, 10 + 12 * k);
  }
  const header = Buffer.from([0x49, 0x49, 42, 0, 0, 0, 0, 0]);
  header.writeUInt32LE(8 + bytes, 4);
  return Buffer.concat([header, Buffer.alloc(bytes), directory]);
}

describe('samples of TIFF', () => {
  it.each([
    [3, 32, 'float'],
    [1, 32, 'uint'],
    [2, 32, 'int'],
    [2, 16, 'short'],
  ])(
    'of a type whose range nobody tells are refused with the reason: %i, %i bits',
    async (format, bits, depth) => {
      await expect(decoded(tiffOf(format, bits))).rejects.toThrow(
        `its samples are of type ${depth}; unsigned ones of 8 or 16 bits are read`,
      );
    },
  );

  it.each([8, 16])('of %i bits, unsigned, are read', async (bits) => {
    expect(distance(await decoded(tiffOf(1, bits)), plain([0, 0, 0]))).toBe(0);
  });
});

describe('the kind of an image', () => {
  const picture = () => raw(quarters(SIZE, SIZE), SIZE, SIZE, 3);

  it.each<[ImageKind, () => Sharp, number]>([
    ['PNG', () => picture().png(), 0],
    ['PNG', () => picture().png({ progressive: true }), 0],
    ['PNG', () => picture().png({ palette: true }), 2],
    ['JPEG', () => picture().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }), 4],
    ['JPEG', () => picture().jpeg({ quality: 100, chromaSubsampling: '4:4:4', progressive: true }), 4],
    ['WebP', () => picture().webp({ lossless: true }), 0],
    ['GIF', () => picture().gif(), 2],
    ['AVIF', () => picture().avif({ lossless: true }), 3],
    ['TIFF', () => picture().tiff({ compression: 'none' }), 0],
    ['TIFF', () => picture().tiff({ compression: 'deflate', bigtiff: true }), 0],
  ])('%s is told from its bytes and decoded', async (kind, encode, tolerance) => {
    const file = await encode().toBuffer();
    expect(imageKind(file)).toBe(kind);
    expect(distance(await decoded(file), quarters(SIZE, SIZE))).toBeLessThanOrEqual(tolerance);
  });

  it('is unknown for anything else', async () => {
    const file = await picture().png().toBuffer();
    const heic = Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1');
    const others = [
      '',
      '\x89PNG',
      '\xff\xd8',
      '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'BM',
      'RIFF1234WAVE',
      'II',
      '{}',
    ];
    for (const bytes of [...others.map((text) => Buffer.from(text, 'latin1')), heic, file.subarray(1)]) {
      expect(imageKind(bytes)).toBeUndefined();
    }
    expect(imageKind(Buffer.from('\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf', 'latin1'))).toBe('AVIF');
    expect(imageKind(Buffer.from('\0\0\0\x14ftypmif1\0\0\0\0mif1avif', 'latin1'))).toBeUndefined();
  });
});

describe('an image is brought to the right way up', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('from EXIF orientation %i', async (orientation) => {
    // Row and column of the upright picture that stand in row r and column c of the stored one, after the EXIF
    // standard: it names the sides of the picture on which the first row and the first column lie.
    const last = 63;
    const source: Record<number, (r: number, c: number) => [number, number]> = {
      1: (r, c) => [r, c],
      2: (r, c) => [r, last - c],
      3: (r, c) => [last - r, last - c],
      4: (r, c) => [last - r, c],
      5: (r, c) => [c, r],
      6: (r, c) => [c, last - r],
      7: (r, c) => [last - c, last - r],
      8: (r, c) => [last - c, r],
    };
    const upright = quarters(64, 64);
    const stored = new Uint8Array(upright.length);
    for (let i = 0; i < 64 * 64; i++) {
      const [y, x] = (source[orientation] as (r: number, c: number) => [number, number])(i >> 6, i & last);
      stored.set(upright.subarray((y * 64 + x) * 3, (y * 64 + x) * 3 + 3), i * 3);
    }
    const file = await raw(stored, 64, 64, 3)
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .withMetadata({ orientation })
      .toBuffer();
    expect((await sharp(file).metadata()).orientation).toBe(orientation);
    const pixels = await decoded(file);
    const at = (x: number, y: number) => pixels.subarray((y * SIZE + x) * 3, (y * SIZE + x) * 3 + 3);
    expect(distance(at(3, 3), RED)).toBeLessThan(6);
    expect(distance(at(12, 3), GREEN)).toBeLessThan(6);
    expect(distance(at(3, 12), BLUE)).toBeLessThan(6);
    expect(distance(at(12, 12), YELLOW)).toBeLessThan(6);
  });

  it('before the centre is cut out', async () => {
    // Stored 96 wide and 32 high, to be shown turned: its middle third is green either way, and nothing else.
    const pixels = new Uint8Array(96 * 32 * 3);
    for (let i = 0; i < 96 * 32; i++) pixels.set(i % 96 >= 32 && i % 96 < 64 ? GREEN : RED, i * 3);
    const file = await raw(pixels, 96, 32, 3).png().withMetadata({ orientation: 6 }).toBuffer();
    const inner = (await decoded(file)).subarray(SIZE * 3 * 2, -SIZE * 3 * 2);
    expect(distance(inner, repeated(GREEN, inner.length / 3))).toBeLessThanOrEqual(1);
  });
});

describe('the centred square of an image', () => {
  it.each([
    ['wide', 48, 16],
    ['high', 16, 48],
  ])('is all that is taken of a %s one', async (_, width, height) => {
    const pixels = new Uint8Array(width * height * 3);
    for (let i = 0; i < width * height; i++) {
      const along = width > height ? i % width : Math.floor(i / width);
      pixels.set(along >= 16 && along < 32 ? BLUE : YELLOW, i * 3);
    }
    expect(distance(await decoded(await raw(pixels, width, height, 3).png().toBuffer()), plain(BLUE))).toBe(
      0,
    );
  });

  it('is made smaller by averaging, not by leaving out', async () => {
    const chequered = new Uint8Array(256 * 256 * 3).map((_, i) => {
      const pixel = Math.floor(i / 3);
      return (pixel + Math.floor(pixel / 256)) % 2 === 0 ? 0 : 255;
    });
    const pixels = await decoded(await raw(chequered, 256, 256, 3).png().toBuffer());
    expect(distance(pixels, plain([127, 127, 127]))).toBeLessThanOrEqual(2);
  });

  it('is made larger when it is small', async () => {
    const pixels = await decoded(await raw(quarters(8, 8), 8, 8, 3).png().toBuffer());
    const at = (x: number, y: number) => pixels.subarray((y * SIZE + x) * 3, (y * SIZE + x) * 3 + 3);
    expect(distance(at(3, 3), RED)).toBeLessThan(6);
    expect(distance(at(12, 12), YELLOW)).toBeLessThan(6);
    const dot = await decoded(await raw(Uint8Array.from(RED), 1, 1, 3).png().toBuffer());
    expect(distance(dot, plain(RED))).toBe(0);
  });
});

describe('an image that is not square', () => {
  /** Three stripes of 16 pixels side by side. */
  const stripes = () => {
    const pixels = new Uint8Array(48 * 16 * 3);
    for (let i = 0; i < 48 * 16; i++)
      pixels.set([RED, BLUE, GREEN][Math.floor((i % 48) / 16)] as Colour, i * 3);
    return pixels;
  };
  const at = (pixels: Uint8Array, x: number, y: number) => [
    ...pixels.subarray((y * 48 + x) * 3, (y * 48 + x) * 3 + 3),
  ];
  const format = { imageSize: 48, background: '#010203' };

  it.each(['png', 'jpeg', 'webp'] as const)('is fitted whole or pulled, as asked: %s', async (kind) => {
    const file = await raw(stripes(), 48, 16, 3)
      [kind]({ quality: 100, lossless: true, chromaSubsampling: '4:4:4' })
      .toBuffer();
    const near = (a: number[], b: readonly number[]) =>
      expect(distance(Uint8Array.from(a), b)).toBeLessThan(8);
    const contained = await decoded(file, { ...format, crop: 'contain' });
    near(at(contained, 8, 24), RED);
    near(at(contained, 24, 24), BLUE);
    near(at(contained, 40, 24), GREEN);
    for (const y of [0, 15, 32, 47]) expect(at(contained, 24, y)).toEqual([1, 2, 3]);
    const stretched = await decoded(file, { ...format, crop: 'stretch' });
    for (const y of [1, 24, 46]) {
      near(at(stretched, 8, y), RED);
      near(at(stretched, 40, y), GREEN);
    }
  });

  it('is treated alike as plain pixels', async () => {
    const pixels = { data: stripes(), width: 48, height: 16, channels: 3 as const };
    const file = await raw(stripes(), 48, 16, 3).png().toBuffer();
    for (const crop of ['cover', 'contain', 'stretch'] as const) {
      for (const imageChannels of [1, 3] as const) {
        const all = { maxPixels: 1e8, background: '#ffffff', imageSize: 20, imageChannels, crop };
        expect(String(await convertPixels(pixels, all))).toBe(String(await decodeImage(file, 'PNG', all)));
      }
    }
    const clear = { data: Uint8Array.of(200, 0, 0, 0), width: 1, height: 1, channels: 4 as const };
    const one = {
      maxPixels: 1,
      background: '#0a141e',
      imageSize: 1,
      imageChannels: 3,
      crop: 'cover',
    } as const;
    expect([...(await convertPixels(clear, one))]).toEqual([10, 20, 30]);
    await expect(convertPixels({ ...clear, width: 2, data: new Uint8Array(8) }, one)).rejects.toThrow(
      '(maxPixels)',
    );
  });
});

describe('transparent pixels', () => {
  const background = '#204060';
  const BACKGROUND = [0x20, 0x40, 0x60];
  const over = (colour: readonly number[], alpha: number) =>
    colour.map((value, i) => Math.round(value * alpha + (BACKGROUND[i] as number) * (1 - alpha)));

  it('show the background, in files of 8 and 16 bits', async () => {
    const colour = [200, 100, 50];
    for (const alpha of [0, 64, 128, 255]) {
      const file8 = raw(Uint8Array.from(plain([...colour, alpha])), SIZE, SIZE, 4);
      const wide = Uint16Array.from(plain([...colour, alpha]).map((value) => value * 257));
      const file16 = raw(wide, SIZE, SIZE, 4).toColourspace('rgb16');
      const expected = plain(over(colour, alpha / 255));
      for (const file of [await file8.png().toBuffer(), await file16.png().toBuffer()]) {
        expect(distance(await decoded(file, { background }), expected)).toBeLessThanOrEqual(1);
      }
      for (const file of [
        await file8.webp({ lossless: true }).toBuffer(),
        await file16.tiff({ compression: 'none' }).toBuffer(),
      ]) {
        // WebP drops the colour of pixels that are not seen at all, as it may.
        expect(distance(await decoded(file, { background }), expected)).toBeLessThanOrEqual(1);
      }
    }
  });

  it.each([8, 16])('of a grey image show the background in its colour, at %i bits', async (bits) => {
    for (const alpha of [0, 128, 255]) {
      const pixels = plain([180, alpha]);
      const image =
        bits === 8
          ? raw(Uint8Array.from(pixels), SIZE, SIZE, 2).toColourspace('b-w')
          : raw(
              Uint16Array.from(pixels, (value) => value * 257),
              SIZE,
              SIZE,
              2,
            ).toColourspace('grey16');
      const file = await image.png().toBuffer();
      expect(await sharp(file).metadata()).toMatchObject({ channels: 2, bitsPerSample: bits });
      const expected = plain(over([180, 180, 180], alpha / 255));
      expect(distance(await decoded(file, { background }), expected)).toBeLessThanOrEqual(1);
    }
  });

  it('do not shine through with their own colour at edges', async () => {
    // A white disc; around it red that is not to be seen.
    const pixels = new Uint8Array(256 * 256 * 4);
    for (let i = 0; i < 256 * 256; i++) {
      const inside = Math.hypot((i % 256) - 127.5, Math.floor(i / 256) - 127.5) < 100;
      pixels.set(inside ? [255, 255, 255, 255] : [255, 0, 0, 0], i * 4);
    }
    const disc = () => raw(pixels, 256, 256, 4);
    const files: [Buffer, number][] = [
      [await disc().png().toBuffer(), 1],
      [await disc().webp({ lossless: true, exact: true }).toBuffer(), 1],
      // Lossy files mix colours before anybody decodes them.
      [await disc().webp({ quality: 100, exact: true }).toBuffer(), 12],
    ];
    for (const [file, tolerance] of files) {
      const seen = await decoded(file, { background: '#000000' });
      let redder = 0;
      for (let i = 0; i < seen.length; i += 3)
        redder = Math.max(redder, (seen[i] as number) - (seen[i + 1] as number));
      expect(redder).toBeLessThanOrEqual(tolerance);
      expect(seen[0]).toBe(0);
      expect(seen[(8 * SIZE + 8) * 3]).toBe(255);
    }
  });

  it('of a palette and of a GIF show the background', async () => {
    const half = new Uint8Array(SIZE * SIZE * 4);
    for (let i = 0; i < SIZE * SIZE; i++) half.set(i % SIZE < 8 ? [...RED, 255] : [0, 0, 0, 0], i * 4);
    const expected = Array.from({ length: SIZE * SIZE }, (_, i) => (i % SIZE < 8 ? RED : BACKGROUND)).flat();
    for (const file of [
      await raw(half, SIZE, SIZE, 4).png({ palette: true }).toBuffer(),
      await raw(half, SIZE, SIZE, 4).gif().toBuffer(),
    ]) {
      expect(distance(await decoded(file, { background }), expected)).toBeLessThanOrEqual(3);
    }
  });
});

describe('colour', () => {
  it('comes through 16 bits, one bit and grey', async () => {
    const deep = raw(
      Uint16Array.from(plain(RED), (value) => value * 257),
      SIZE,
      SIZE,
      3,
    ).toColourspace('rgb16');
    expect(distance(await decoded(await deep.png().toBuffer()), plain(RED))).toBeLessThanOrEqual(1);
    const grey = raw(new Uint8Array(SIZE * SIZE).fill(90), SIZE, SIZE, 1).toColourspace('b-w');
    const greyFile = await grey.png().toBuffer();
    expect((await sharp(greyFile).metadata()).channels).toBe(1);
    expect(distance(await decoded(greyFile), plain([90, 90, 90]))).toBe(0);
    const greyJpeg = await grey.jpeg().toBuffer();
    expect((await sharp(greyJpeg).metadata()).channels).toBe(1);
    expect(distance(await decoded(greyJpeg), plain([90, 90, 90]))).toBeLessThanOrEqual(1);
    const stripes = new Uint8Array(SIZE * SIZE).map((_, i) => (i % SIZE < 5 ? 0 : 255));
    const oneBit = await raw(stripes, SIZE, SIZE, 1)
      .toColourspace('b-w')
      .png({ palette: true, colours: 2 })
      .toBuffer();
    expect(await sharp(oneBit).metadata()).toMatchObject({ bitsPerSample: 1 });
    const expected = [...stripes].flatMap((value) => [value, value, value]);
    expect(distance(await decoded(oneBit), expected)).toBe(0);
  });

  it('is converted from CMYK', async () => {
    const file = await solid(RED).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(file).metadata()).space).toBe('cmyk');
    // By perception, as is usual for pictures: the colours keep their order, not each its place.
    expect(distance(await decoded(file), plain(RED))).toBeLessThan(45);
    const white = await solid([255, 255, 255]).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect(distance(await decoded(white), plain([255, 255, 255]))).toBeLessThanOrEqual(2);
  });

  it.each(['png', 'jpeg', 'webp', 'avif', 'tiff'] as const)(
    'is taken through a wide profile in %s',
    async (format) => {
      const file = await solid(RED).withIccProfile('p3')[format]({ quality: 100 }).toBuffer();
      // Without its profile it would be another colour, or this would prove nothing.
      const unconverted = await sharp(file, { ignoreIcc: true }).raw().toBuffer();
      expect(distance(unconverted.subarray(0, 3), RED)).toBeGreaterThan(10);
      expect(distance(await decoded(file), plain(RED))).toBeLessThanOrEqual(3);
    },
  );

  it('is taken through a wide profile at 16 bits', async () => {
    const file = await solid(RED).toColourspace('rgb16').withIccProfile('p3').png().toBuffer();
    expect(await sharp(file).metadata()).toMatchObject({ depth: 'ushort', hasProfile: true });
    expect(distance(await decoded(file), plain(RED))).toBeLessThanOrEqual(3);
  });

  it('becomes grey by its brightness when one channel is wanted', async () => {
    const grey = async (colour: readonly number[]) => {
      const pixels = await decoded(await solid(colour).png().toBuffer(), { imageChannels: 1 });
      expect(pixels.length).toBe(SIZE * SIZE);
      expect(new Set(pixels).size).toBe(1);
      return pixels[0] as number;
    };
    expect(await grey([255, 255, 255])).toBe(255);
    expect(await grey([0, 0, 0])).toBe(0);
    expect(Math.abs((await grey([77, 77, 77])) - 77)).toBeLessThanOrEqual(1);
    // Linear light by the weights of BT.709.
    expect(await grey([255, 0, 0])).toBe(127);
    expect(await grey([0, 255, 0])).toBe(220);
    expect(await grey([0, 0, 255])).toBe(76);
  });

  it('becomes one channel from any file', async () => {
    const colour = solid([120, 120, 120]);
    const alpha = raw(Uint8Array.from(plain([120, 255])), SIZE, SIZE, 2).toColourspace('b-w');
    const clear = raw(Uint8Array.from(plain([120, 0])), SIZE, SIZE, 2).toColourspace('b-w');
    const cmyk = colour.clone().toColourspace('cmyk').jpeg({ quality: 100 });
    const cases: [Buffer, number][] = [
      [await colour.png().toBuffer(), 120],
      [await colour.clone().toColourspace('rgb16').png().toBuffer(), 120],
      // What littleCMS makes of this grey in ink and back, by perception.
      [await cmyk.toBuffer(), 109],
      [await alpha.png().toBuffer(), 120],
      [await clear.png().toBuffer(), 255],
    ];
    for (const [file, value] of cases) {
      const pixels = await decoded(file, { imageChannels: 1 });
      expect(distance(pixels, Array(SIZE * SIZE).fill(value))).toBeLessThanOrEqual(4);
    }
  });
});

describe('an animation', () => {
  it.each(['gif', 'webp'] as const)('gives its first frame: %s', async (format) => {
    const frames = Uint8Array.from([...plain(GREEN), ...plain(RED), ...plain(BLUE)]);
    const tower = sharp(frames, { raw: { width: SIZE, height: SIZE * 3, channels: 3, pageHeight: SIZE } });
    const file = await tower[format]({ lossless: true }).toBuffer();
    expect((await sharp(file).metadata()).pages).toBe(3);
    expect(distance(await decoded(file), plain(GREEN))).toBeLessThanOrEqual(3);
  });
});
