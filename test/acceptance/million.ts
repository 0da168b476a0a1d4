/**
 * Many images into one archive, in constant memory, one of them again by itself:
 * node dist/test/acceptance/million.js RUN [COUNT]. Exit status 1 when memory grows or the image differs.
 */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import sharp from 'sharp';
import { extract } from 'tar-stream';
import { San } from '../../lib/index.js';

const SEED = 1;
/** Memory at a tenth of the way, over which it may grow by this much until the end. */
const GROWTH = 1.2;

async function entry(path: string, wanted: string): Promise<Buffer> {
  const archive = extract();
  createReadStream(path).pipe(archive);
  for await (const file of archive) {
    if (file.header.name === wanted) return buffer(file);
    file.resume();
  }
  throw new Error(`${path} has no ${wanted}`);
}

const [run, given = '1000000'] = process.argv.slice(2);
if (run === undefined) throw new Error('RUN [COUNT]');
const count = Number(given);
const index = Math.floor((count * 777_777) / 1_000_000);
const folder = await mkdtemp(join(tmpdir(), 'san-native-acceptance-'));
const san = await San.load(run);
try {
  const path = join(folder, 'images.tar');
  let [early, late] = [0, 0];
  const begin = performance.now();
  await san.generateTo(
    path,
    { seed: SEED, count },
    {
      onProgress: ({ done }) => {
        const { rss } = process.memoryUsage();
        if (done < count / 10) early = Math.max(early, rss);
        else late = Math.max(late, rss);
      },
    },
  );
  const seconds = (performance.now() - begin) / 1000;
  const file = await entry(path, `${String(index).padStart(9, '0')}.png`);
  const { data, shape } = await san.generate({ seed: SEED, startIndex: index, count: 1 });
  const colours = shape[3] === 1 ? 'b-w' : 'srgb';
  const same = (await sharp(file).toColourspace(colours).raw().toBuffer()).equals(data);
  const steady = late <= GROWTH * early;
  console.log(
    `${count} images of ${shape[1]} px in ${seconds.toFixed(0)} s, ${Math.round(count / seconds)}/s`,
  );
  console.log(`memory: ${Math.round(early / 1e6)} MB in the first tenth, ${Math.round(late / 1e6)} MB after`);
  console.log(`image ${index} alone is ${same ? 'the same' : 'ANOTHER'}`);
  if (!same || !steady) process.exitCode = 1;
} finally {
  await san.dispose();
  await rm(folder, { recursive: true, force: true });
}
