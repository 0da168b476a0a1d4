/** What a good user of sharp would write: some files at a time, in any order, pixels in memory. */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { stopwatch, type Time } from '../stopwatch.js';
import type { OpenContender } from '../worker.js';

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const { source, imageSize, parallel, time } = options as {
    source: string;
    imageSize: number;
    parallel: number;
    time: Time;
  };
  const files = (await readdir(source)).sort().map((name) => join(source, name));
  const make = async (): Promise<Buffer[]> => {
    const images: Buffer[] = [];
    let next = 0;
    const work = async () => {
      for (let i = next++; i < files.length; i = next++) {
        images[i] = await sharp(files[i])
          .autoOrient()
          .resize(imageSize, imageSize, { fit: 'cover', kernel: 'lanczos3', fastShrinkOnLoad: false })
          .flatten({ background: '#ffffff' })
          .toColourspace('srgb')
          .raw()
          .toBuffer();
      }
    };
    await Promise.all(Array.from({ length: parallel }, work));
    return images;
  };
  const first = await make();
  const hash = createHash('sha256').update(`${files.length}x${imageSize}x${imageSize}x3\n`);
  for (const image of first) hash.update(image);
  return {
    facts: { hash: hash.digest('hex') },
    async round(items) {
      const seconds = stopwatch(time);
      let done = 0;
      while (done < items) done += (await make()).length;
      return { seconds: seconds(), items: done };
    },
    close: async () => {},
  };
}
