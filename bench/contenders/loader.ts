/** The native loader, its batches handed to JavaScript. */
import { type LoaderOptions, loadAddon } from '../../lib/native.js';
import type { OpenContender } from '../worker.js';

/** Calls under way at once, so that the loader does not wait for JavaScript. */
const AHEAD = 4;

/** @param options of createLoader() */
export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const addon = loadAddon();
  const { batchSize, ...rest } = options as unknown as LoaderOptions;
  const loader = await addon.createLoader({ batchSize, ...rest });
  let step = 0;
  return {
    facts: { libtorch: addon.info().libtorch },
    async round(items) {
      const begin = performance.now();
      const last = step + Math.ceil(items / batchSize);
      const first = step;
      const waiting: Promise<unknown>[] = [];
      for (; step < last; step++) {
        waiting.push(loader.batch({ step }));
        if (waiting.length > AHEAD) await waiting.shift();
      }
      await Promise.all(waiting);
      return { seconds: (performance.now() - begin) / 1000, items: (last - first) * batchSize };
    },
    close: () => loader.dispose(),
  };
}
