/** Our San.generate(): 8-bit images in memory. */
import { performance } from 'node:perf_hooks';
import { San } from '../../lib/generation/san.js';
import { type Device, type InferencePrecision, type LatentBatch, loadAddon } from '../../lib/native.js';
import { peakOn } from '../device-memory.js';
import { NOTE } from '../process.js';
import type { OpenContender } from '../worker.js';

export interface GenerateOptions {
  checkpoint: string;
  threads: number;
  precision?: InferencePrecision;
  device?: Device;
  /** Images asked for at a time. */
  chunk?: number;
  /** Those of the images that are compared with the others', where there are any. */
  latents?: number[];
  shape?: LatentBatch['shape'];
}

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const {
    checkpoint,
    threads,
    precision = 'fp32',
    device = 'cpu',
    chunk = 64,
    latents,
    shape,
  } = options as unknown as GenerateOptions;
  const san = await San.load(checkpoint, { threads, precision, device });
  const checked = latents && shape && (await san.decode({ data: Float32Array.from(latents), shape })).data;
  let startIndex = 0;
  return {
    facts: {
      libtorch: loadAddon().info().libtorch,
      ...(checked && { images: Buffer.from(checked).toString('base64') }),
    },
    async round(items) {
      const begin = performance.now();
      let done = 0;
      while (done < items) {
        const count = Math.min(chunk, items - done);
        await san.generate({ seed: 1, startIndex, count });
        startIndex += count;
        done += count;
      }
      const seconds = (performance.now() - begin) / 1000;
      for (const text of san.warnings()) process.stderr.write(`${NOTE}LibTorch: ${text}\n`);
      return { seconds, items: done, ...(await peakOn(device)) };
    },
    close: () => san.dispose(),
  };
}
