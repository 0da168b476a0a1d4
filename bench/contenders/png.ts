/**
 * Our san.generateTo(): PNG files on disk. They stay until the comparison is over: for seconds after many files were removed,
 * ext4 makes new ones ten times as slowly.
 */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { San } from '../../lib/generation/san.js';
import type { OpenContender } from '../worker.js';

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const { checkpoint, threads, folder } = options as { checkpoint: string; threads: number; folder: string };
  const san = await San.load(checkpoint, { threads });
  let startIndex = 0;
  return {
    facts: {},
    async round(count) {
      const target = join(folder, `from-${startIndex}`);
      const begin = performance.now();
      await san.generateTo(target, { seed: 1, startIndex, count });
      const seconds = (performance.now() - begin) / 1000;
      startIndex += count;
      return { seconds, items: count };
    },
    close: () => san.dispose(),
  };
}
