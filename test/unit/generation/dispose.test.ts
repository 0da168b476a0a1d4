/** What dispose() waits for, with a network that refuses work once it is gone. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { precisionError } from '../../../lib/generation/precision-error.js';
import { San } from '../../../lib/generation/san.js';
import type { ImageBatch } from '../../../lib/native.js';
import { interpolateImages } from '../../../lib/reverser/interpolate.js';
import { findNeighbors } from '../../../lib/reverser/neighbors.js';
import { reconstructImages } from '../../../lib/reverser/reconstruct.js';
import { reverseImages } from '../../../lib/reverser/reverse.js';
import { scoreImages, scoreReference } from '../../../lib/reverser/score.js';
import { grey, mirrorAddon, runAndPhotos } from '../reverser/support.js';
import { native } from '../support/mocked-native.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

/** Every call takes some turns of the event loop. */
const turns = async () => {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
};

let run = '';
let photos = '';
let folder = '';
beforeEach(async () => {
  const addon = mirrorAddon();
  native.addon = {
    ...addon,
    createNetwork: async (options) => {
      const network = await addon.createNetwork(options);
      let gone = false;
      const slow =
        <A, R>(call: (argument: A) => Promise<R>) =>
        async (argument: A): Promise<R> => {
          if (gone) throw new Error('the network is gone');
          await turns();
          return call(argument);
        };
      return {
        ...network,
        generate: slow(network.generate),
        decode: slow(network.decode),
        reverse: slow(network.reverse),
        dispose: async () => {
          gone = true;
        },
      };
    },
  };
  ({ folder, run, photos } = await runAndPhotos());
});

const ends = { from: { seed: 1, index: 0 }, to: { seed: 1, index: 1 } };
const images: ImageBatch = { data: new Uint8Array(128), shape: [2, 8, 8, 1] };
const disposed = { code: 'ERR_SAN_DISPOSED', message: expect.stringContaining('this San was disposed') };
const out = (name: string) => join(folder, name);

describe('dispose()', () => {
  it('waits for every kind of call under way, and has new ones refused at once', async () => {
    const san = await San.load(run);
    const reference = await scoreReference(san, { data: photos });
    const { signal } = new AbortController();
    const start = () => [
      san.generate({ seed: 1, count: 40 }),
      san.generate({ seed: 1, count: 200, signal }),
      san.generateTo(new PassThrough().resume(), { seed: 1, count: 40, batchSize: 4 }),
      san.generateTo(out('drawn'), { seed: 1, count: 8, batchSize: 2 }),
      san.reconstruct(images),
      san.score(images, reference),
      san.interpolate({ ...ends, frames: 4 }),
      san.neighbors(images, { data: photos }),
      precisionError(san, { seed: 1, count: 4 }),
      reverseImages(san, { data: photos, out: out('z.npy') }),
      reconstructImages(san, { data: photos, out: out('again.png') }),
      interpolateImages(san, { ...ends, frames: 4, out: out('way.png') }),
      scoreImages(san, { data: photos, out: out('s.csv'), reference: photos }),
      findNeighbors(san, { data: photos, out: out('near.png') }),
    ];
    const calls = Promise.allSettled(start());
    await turns();
    const disposal = san.dispose();
    for (const call of [...start(), san.reverse(images), san.latents({ seed: 1, count: 1 })])
      await expect(call).rejects.toMatchObject(disposed);
    expect(() => san.stream({ seed: 1 })).toThrow(expect.objectContaining(disposed));
    await disposal;
    for (const outcome of await calls) expect(outcome).toMatchObject({ status: 'fulfilled' });
  });

  it('waits for a call that fails, too, and ends only once', async () => {
    const san = await San.load(run);
    const broken = out('broken');
    await mkdir(broken);
    await writeFile(join(broken, 'a.png'), await grey(1));
    const failing = expect(san.neighbors(images, { data: broken })).rejects.toMatchObject({
      code: 'ERR_SAN_DATA_EMPTY',
    });
    await Promise.all([san.dispose(), san.dispose(), san[Symbol.asyncDispose]()]);
    await failing;
  });

  it('does not wait for a stream that is left alone, and ends it at its next batch', async () => {
    const san = await San.load(run);
    const stream = san.stream({ seed: 1, batchSize: 2 });
    expect((await stream.next()).value).toMatchObject({ startIndex: 0 });
    await san.dispose();
    await expect(stream.next()).rejects.toMatchObject(disposed);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});
