import { describe, expect, it } from 'vitest';
import type { LatentBatch } from '../../../lib/native.js';
import { type DrawnWay, drawEvenly, type Painter } from '../../../lib/reverser/way.js';

const SIZE = 16;

/** Draws images of 16×16 whose pixels tell how far the way has come, from (1, 0) to (0, 1); counts them. */
function painter(paint: (fraction: number, pixel: number) => number): Painter & { drawn: number } {
  return {
    drawn: 0,
    config: { imageSize: SIZE, imageChannels: 1 } as Painter['config'],
    async decode({ data, shape: [count] }) {
      this.drawn += count;
      const images = new Uint8Array(count * SIZE ** 2);
      for (let i = 0; i < count; i++) {
        const fraction = Math.atan2(data[2 * i + 1] as number, data[2 * i] as number) / (Math.PI / 2);
        for (let p = 0; p < SIZE ** 2; p++) images[i * SIZE ** 2 + p] = paint(fraction, p);
      }
      return { data: images, shape: [count, SIZE, SIZE, 1] };
    },
  };
}

const latent = (...values: number[]): LatentBatch => ({
  data: Float32Array.from(values),
  shape: [1, 2, 1, 1],
});
const ends = { from: latent(1, 0), to: latent(0, 1) };
const FRAMES = 24;

/** Grey from 0 to 255, pixel after pixel, so that small progress shows in spite of rounding. */
const filled = (share: number, pixel: number) =>
  Math.min(255, Math.max(0, Math.floor((share * SIZE ** 2 - pixel) * 255)));

const changes = ({ images }: DrawnWay): number[] =>
  Array.from({ length: FRAMES - 1 }, (_, i) => {
    let sum = 0;
    for (let p = 0; p < SIZE ** 2; p++) {
      const at = i * SIZE ** 2 + p;
      sum += ((images.data[at + SIZE ** 2] as number) - (images.data[at] as number)) ** 2;
    }
    return Math.sqrt(sum);
  });

describe('drawEvenly', () => {
  it('looks closer where nearly all changes within a fiftieth of the way', async () => {
    const steep = painter((fraction, pixel) => filled(1 / (1 + Math.exp((0.4 - fraction) * 400)), pixel));
    const way = await drawEvenly(steep, ends, FRAMES, {});
    const sorted = changes(way).sort((a, b) => b - a);
    const mean = sorted.reduce((a, b) => a + b, 0) / sorted.length;
    expect((sorted[0] as number) / mean).toBeLessThan(1.3);
    expect(steep.drawn).toBeLessThan(200);
    expect([way.fractions[0], way.fractions.at(-1)]).toEqual([0, 1]);
  });

  it('leaves a jump as it is, with even steps on both sides', async () => {
    const jumpy = painter((fraction, pixel) =>
      filled(fraction < 0.6 ? fraction / 4 : 0.5 + fraction / 2, pixel),
    );
    const sorted = changes(await drawEvenly(jumpy, ends, FRAMES, {})).sort((a, b) => b - a);
    const rest = sorted.slice(1);
    expect((sorted[0] as number) / (sorted[1] as number)).toBeGreaterThan(3);
    expect((rest[0] as number) / (rest.reduce((a, b) => a + b, 0) / rest.length)).toBeLessThan(1.2);
  });

  it('draws a limited number of images whatever the way is like, and the same each time', async () => {
    const noise = painter((fraction, pixel) => ((1e6 * fraction * (1 + pixel / 7)) % 1) * 255);
    const way = await drawEvenly(noise, ends, FRAMES, {});
    expect(noise.drawn).toBe(16 * (FRAMES - 1) + 1);
    expect(await drawEvenly(noise, ends, FRAMES, {})).toEqual(way);
  });

  it('takes the ends alone for two frames, and even points where nothing changes', async () => {
    const grey = painter(() => 90);
    expect((await drawEvenly(grey, ends, 2, {})).fractions).toEqual([0, 1]);
    expect((await drawEvenly(grey, ends, 5, {})).fractions).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });
});
