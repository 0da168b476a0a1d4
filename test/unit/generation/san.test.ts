import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { modelOptions } from '../../../lib/config/schema.js';
import { San } from '../../../lib/generation/san.js';
import type { ImageBatch, LatentBatch } from '../../../lib/native.js';
import { fakeAddon, fakeTensors, progress } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

let fake: ReturnType<typeof fakeAddon>;
beforeEach(() => {
  fake = fakeAddon();
  native.addon = fake.addon;
});

async function load(): Promise<San> {
  const path = join(await temporaryFolder(), 'san.safetensors');
  const config = resolveConfig([
    { source: '', values: { imageSize: 16, imageChannels: 1, baseWidth: 4, maxWidth: 8 } },
  ]);
  const tensors = fakeTensors(modelOptions(config));
  await saveCheckpoint(path, { config, step: 5, images: 10, ...progress, tensors });
  return San.load(path);
}

const images = (...shape: number[]) =>
  ({ data: new Uint8Array(shape.reduce((a, b) => a * b, 1)), shape }) as unknown as ImageBatch;
const latents = (...shape: number[]) =>
  ({ data: new Float32Array(shape.reduce((a, b) => a * b, 1)), shape }) as unknown as LatentBatch;

describe('San', () => {
  it('draws, reverses and decodes', async () => {
    const san = await load();
    expect(san).toMatchObject({ step: 5, config: { imageSize: 16 }, damaged: [] });
    expect((await san.generate({ count: 3, seed: 2, startIndex: 4 })).shape).toEqual([3, 16, 16, 1]);
    expect((await san.reverse(images(2, 16, 16, 1))).shape).toEqual([2, 64, 1, 1]);
    expect((await san.decode(latents(2, 64, 1, 1))).shape).toEqual([2, 16, 16, 1]);
  });

  it.each([
    [{ count: 0, seed: 1 }, 'count = 0: expected a whole number from 1 on'],
    [{ count: 1.5, seed: 1 }, 'count = 1.5: expected a whole number from 1 on'],
    [{ count: '4', seed: 1 }, 'count = "4": expected a whole number from 1 on'],
    [{ count: 4 }, 'seed = undefined: expected a whole number from 0 on'],
    [{ count: 4, seed: 2 ** 53 }, 'seed = 9007199254740992: expected a whole number from 0 on'],
    [{ count: 4, seed: 1, startIndex: -1 }, 'startIndex = -1: expected a whole number from 0 on'],
  ])('refuses generate(%o)', async (options, message) => {
    const san = await load();
    await expect(san.generate(options as never)).rejects.toMatchObject({ code: 'ERR_SAN_OPTIONS', message });
  });

  it.each<[ImageBatch, string]>([
    [images(2, 16, 16, 3), 'images.shape must be [N, 16, 16, 1], is [2, 16, 16, 3]'],
    [images(2, 16, 16), 'images.shape must be [N, 16, 16, 1], is [2, 16, 16]'],
    [images(0, 16, 16, 1), 'images.shape must be [N, 16, 16, 1], is [0, 16, 16, 1]'],
    [{ ...images(2, 16, 16, 1), data: new Uint8Array(5) }, 'images.data must hold 512 numbers, holds 5'],
    [latents(2, 16, 16, 1) as unknown as ImageBatch, 'images.data must be a Uint8Array'],
    [{ data: new Uint8Array(256) } as ImageBatch, 'images.shape must be [N, 16, 16, 1], is undefined'],
    [undefined as unknown as ImageBatch, 'images.data must be a Uint8Array'],
  ])('refuses to reverse what is no batch of its images (%#)', async (batch, message) => {
    const san = await load();
    await expect(san.reverse(batch)).rejects.toMatchObject({ code: 'ERR_SAN_SHAPE', message });
  });

  it('refuses to decode latents of another shape', async () => {
    const san = await load();
    await expect(san.decode(latents(2, 1, 64, 1))).rejects.toMatchObject({
      code: 'ERR_SAN_SHAPE',
      message: 'latents.shape must be [N, 64, 1, 1], is [2, 1, 64, 1]',
    });
  });

  it('frees the network once, and refuses work afterwards', async () => {
    const san = await load();
    await san.dispose();
    await san[Symbol.asyncDispose]();
    expect(fake.disposed).toHaveLength(1);
    await expect(san.generate({ count: 1, seed: 1 })).rejects.toMatchObject({ code: 'ERR_SAN_DISPOSED' });
  });
});
