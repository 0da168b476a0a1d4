/** A network whose images tell seed, truncation and index, and what it was asked for. */
import type { Drawer } from '../../../lib/generation/stream.js';
import type { ImageBatch } from '../../../lib/native.js';

export type Asked = { startIndex: number; count: number };

/** Pixels that differ from image to image and within each. */
export function pixels(seed: number, index: number, bytes: number, truncation = 0): Uint8Array {
  const start = seed * 7919 + truncation * 1000 + index;
  return Uint8Array.from({ length: bytes }, (_, i) => Math.imul(start + 1, 2654435761 + i * 40503) >>> 24);
}

export function drawer(size = 5, channels = 3, onDraw: (asked: Asked) => void | Promise<void> = () => {}) {
  const asked: Asked[] = [];
  const it: Drawer = {
    async generate({ seed, startIndex = 0, count, truncation }): Promise<ImageBatch> {
      asked.push({ startIndex, count });
      await onDraw({ startIndex, count });
      const item = size * size * channels;
      const data = new Uint8Array(count * item);
      for (let i = 0; i < count; i++) data.set(pixels(seed, startIndex + i, item, truncation), i * item);
      return { data, shape: [count, size, size, channels] };
    },
  };
  return { drawer: it, asked };
}
