/** A tar archive of PNG files, as WebDataset reads it. */
import { pack } from 'tar-stream';
import type { Container } from './file-sink.js';
import { encodePngs } from './png-pool.js';
import { imageName } from './sink.js';

/** Two blocks of zeros end an archive. */
const END = Buffer.alloc(1024);
/** The same for every run. */
const MTIME = new Date(0);

export const tar: Container = {
  kind: 'tar',
  head: () => END.subarray(0, 0),
  async encode(images, threads) {
    const archive = pack();
    for (const [i, png] of (await encodePngs(images, threads)).entries())
      archive.entry({ name: imageName(images.startIndex + i), mtime: MTIME }, png);
    archive.finalize();
    const chunks: Uint8Array[] = [];
    for await (const chunk of archive) chunks.push(chunk as Uint8Array);
    const whole = Buffer.concat(chunks);
    return whole.subarray(0, whole.length - END.length);
  },
  tail: () => [END],
};
