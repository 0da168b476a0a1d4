import { readdir, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cacheContent, clearCache } from '../../../lib/data/prepared/cache.js';
import { San } from '../../../lib/generation/san.js';
import { ImageReader } from '../../../lib/reverser/images.js';
import { findNeighbors } from '../../../lib/reverser/neighbors.js';
import { reconstructImages } from '../../../lib/reverser/reconstruct.js';
import { reverseImages } from '../../../lib/reverser/reverse.js';
import { scoreImages } from '../../../lib/reverser/score.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';
import { config, grey, mirrorAddon, runAndPhotos } from './support.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

let cache = '';
beforeEach(async () => {
  native.addon = mirrorAddon();
  cache = await temporaryFolder();
  vi.stubEnv('SAN_NATIVE_CACHE', cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Files of the cache that this process has open. */
async function openFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  const links = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((path) => path.startsWith(cache));
}

describe('a set of the cache that is being read', () => {
  it('is read to the end when the cache is cleared meanwhile', async () => {
    const data = await temporaryFolder();
    const image = await grey(70);
    for (let i = 0; i < 300; i++) await writeFile(join(data, `${i}.png`), image);
    const counts: number[] = [];
    {
      await using reader = await ImageReader.open(data, config, {});
      for await (const { images } of reader.batches('reading')) {
        counts.push(images.shape[0]);
        expect(new Set(images.data)).toEqual(new Set([70]));
        await clearCache();
        expect((await cacheContent()).sets).toEqual([]);
      }
      expect((await reader.spread(2)).names).toEqual(['0.png', '233.png']);
      expect(await openFiles()).toHaveLength(1);
    }
    expect(counts).toEqual([256, 44]);
    expect(await openFiles()).toEqual([]);
  });

  it('is closed by every function, whatever becomes of it', async () => {
    const { folder, run, photos: data } = await runAndPhotos();
    const out = (name: string) => join(folder, name);
    await using san = await San.load(run);
    const calls = [
      () => reverseImages(san, { data, out: out('z.npy') }),
      () => reconstructImages(san, { data, out: out('s.png') }),
      () => scoreImages(san, { data, out: out('s.csv'), reference: data }),
      () => findNeighbors(san, { data, out: out('n.png'), count: 2, neighbors: 1 }),
    ];
    for (const call of calls) {
      await call();
      expect(await openFiles()).toEqual([]);
      const broken = () => Promise.reject(new Error('broken'));
      const spies = [
        vi.spyOn(San.prototype, 'reverse').mockImplementation(broken),
        vi.spyOn(San.prototype, 'reconstruct').mockImplementation(broken),
      ];
      await expect(call()).rejects.toThrow('broken');
      expect(await openFiles()).toEqual([]);
      for (const spy of spies) spy.mockRestore();
    }
  });
});
