import { describe, expect, it } from 'vitest';
import type { ImageFormat } from '../../../lib/data/decode.js';
import { rowsOf } from '../../../lib/data/rows.js';
import type { ImageSource, PixelItem } from '../../../lib/data/source.js';

/** Plain images of one shade each. */
function plain(count: number, side: number): ImageSource {
  const item = (index: number): PixelItem => ({
    form: 'pixels',
    index,
    name: `row ${index}`,
    data: new Uint8Array(side * side).fill(index),
    width: side,
    height: side,
    channels: 1,
  });
  return {
    kind: 'plain',
    path: 'plain',
    count,
    fingerprint: '',
    skipped: [],
    async *entries({ from = 0 } = {}) {
      for (let i = from; i < count; i++) yield item(i);
    },
  };
}

const format = (imageSize: number): ImageFormat => ({
  imageSize,
  imageChannels: 1,
  background: '#ffffff',
  crop: 'cover',
  maxPixels: 1e8,
});

describe('plain images come in blocks', () => {
  it.each([
    [28, 256, 500],
    [1, 128, 100],
    [28, 28, 2000],
    [200, 16, 50],
  ])('that stay small: of %i pixels made %i', async (side, size, count) => {
    const item = size ** 2;
    let images = 0;
    for await (const { pixels, labels, next } of rowsOf(plain(count, side), format(size), {})) {
      expect(pixels.length).toBe(labels.length * item);
      expect(pixels.length).toBeLessThan(2 ** 18 + item);
      // What is kept in memory with them.
      expect(pixels.buffer.byteLength).toBeLessThan(2 ** 19);
      for (let i = 0; i < labels.length; i++) expect(pixels[i * item]).toBe((images + i) & 255);
      images += labels.length;
      expect(next).toBe(images);
    }
    expect(images).toBe(count);
  });
});
