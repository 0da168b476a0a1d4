/** Our San.generate(): 8-bit images in memory. */
import { performance } from 'node:perf_hooks';
import { San } from '../../lib/generation/san.js';
import { type InferencePrecision, loadAddon } from '../../lib/native.js';
import type { OpenContender } from '../worker.js';

/** Images asked for at a time. */
const CHUNK = 64;

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const { checkpoint, threads, precision } = options as {
    checkpoint: string;
    threads: number;
    precision?: InferencePrecision;
  };
  const san = await San.load(checkpoint, { threads, ...(precision && { precision }) });
  let startIndex = 0;
  return {
    facts: { libtorch: loadAddon().info().libtorch },
    async round(items) {
      const begin = performance.now();
      let done = 0;
      while (done < items) {
        const count = Math.min(CHUNK, items - done);
        await san.generate({ seed: 1, startIndex, count });
        startIndex += count;
        done += count;
      }
      return { seconds: (performance.now() - begin) / 1000, items: done };
    },
    close: () => san.dispose(),
  };
}
