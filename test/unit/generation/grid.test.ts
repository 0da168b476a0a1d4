import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodeGrid, spread } from '../../../lib/generation/grid.js';
import type { ImageBatch } from '../../../lib/native.js';

/** Every pixel tells its image, row, column and channel. */
function batch(count: number, size: number, channels: number): ImageBatch {
  const data = Uint8Array.from({ length: count * size * size * channels }, (_, i) => (i * 7 + 3) % 251);
  return { data, shape: [count, size, size, channels] };
}

const decode = (png: Buffer) => sharp(png).raw().toBuffer({ resolveWithObject: true });

describe('encodeGrid', () => {
  it.each([
    [1, 32, 3, 2],
    [5, 32, 3, 2],
    [9, 28, 1, 2],
    [12, 16, 3, 4],
    [4, 64, 1, 1],
    [3, 100, 3, 1],
  ])(
    'shows %i images of %i pixels and %i channels, enlarged %i times',
    async (count, size, channels, scale) => {
      const images = batch(count, size, channels);
      const { data, info } = await decode(await encodeGrid(images));
      const columns = Math.ceil(Math.sqrt(count));
      const cell = (size + 1) * scale;
      expect(info.width).toBe(columns * cell + scale);
      expect(info.height).toBe(Math.ceil(count / columns) * cell + scale);
      const at = (x: number, y: number, c: number) =>
        data[(y * info.width + x) * info.channels + (c % info.channels)];
      expect(at(0, 0, 0)).toBe(224);
      for (let i = 0; i < count; i++) {
        const [left, top] = [(i % columns) * cell + scale, Math.floor(i / columns) * cell + scale];
        for (let y = 0; y < size * scale; y++) {
          for (let x = 0; x < size * scale; x++) {
            const source = ((i * size + Math.floor(y / scale)) * size + Math.floor(x / scale)) * channels;
            if (at(left + x, top + y, 0) !== images.data[source]) {
              expect.fail(`image ${i}, row ${y}, column ${x} differs`);
            }
          }
        }
        expect(at(left + size * scale, top, 0)).toBe(224);
      }
    },
  );
});

describe('spread', () => {
  it('takes images from all over the batch', () => {
    const images: ImageBatch = {
      data: Uint8Array.from({ length: 40 }, (_, i) => i >> 2),
      shape: [10, 2, 2, 1],
    };
    const { data, shape } = spread(images, 5);
    expect(shape).toEqual([5, 2, 2, 1]);
    expect([...data].filter((_, i) => i % 4 === 0)).toEqual([0, 2, 4, 6, 8]);
  });

  it('takes all of a smaller batch', () => {
    const images = batch(3, 2, 1);
    expect(spread(images, 64)).toEqual(images);
  });
});
