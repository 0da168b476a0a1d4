import { constants } from 'node:buffer';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
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
    [
      { count: 4, seed: 2 ** 53 },
      'seed = 9007199254740992: expected a whole number from 0 to 9007199254740991',
    ],
    [{ count: 4, seed: 1n }, 'seed = 1n: expected a whole number from 0 to 9007199254740991'],
    [{ count: 4, seed: 1, startIndex: -1 }, 'startIndex = -1: expected a whole number from 0 on'],
  ])('refuses generate(%o)', async (options, message) => {
    const san = await load();
    await expect(san.generate(options as never)).rejects.toMatchObject({ code: 'ERR_SAN_OPTIONS', message });
  });

  it('refuses more images than an array holds, and says where they can be had', async () => {
    const san = await load();
    await expect(san.generate({ count: 2 ** 40, seed: 1 })).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
    });
    await expect(san.generate({ count: 2 ** 40, seed: 1 })).rejects.toThrow(
      /^count = 1099511627776: so many do not fit in one array of .* stream\(\)$/,
    );
  });

  it('takes no more in one call than the native half counts, however large an array may be', async () => {
    const { MAX_LENGTH } = constants;
    const most = Math.min(2 ** 31 - 1, Math.floor(MAX_LENGTH / 256));
    await expect((await load()).generate({ count: most + 1, seed: 1 })).rejects.toThrow(
      `so many do not fit in one array of at most ${most}; take them batch by batch from stream()`,
    );
  });

  it('tells in words that there is no memory for the images of a call with a signal', async () => {
    const san = await load();
    const construct = (target: typeof Uint8Array, [length, ...rest]: [number]) => {
      if (length === 2 ** 30) throw new RangeError('Array buffer allocation failed');
      return Reflect.construct(target, [length, ...rest]);
    };
    vi.stubGlobal('Uint8Array', new Proxy(Uint8Array, { construct }));
    onTestFinished(() => void vi.unstubAllGlobals());
    const { signal } = new AbortController();
    await expect(san.generate({ count: 2 ** 22, seed: 1, signal })).rejects.toMatchObject({
      code: 'ERR_SAN_OUT_OF_MEMORY',
      message: expect.stringContaining('stream()'),
    });
  });

  it.each<[ImageBatch, string]>([
    [images(2, 16, 16, 3), 'images.shape must be [N, 16, 16, 1], is [2, 16, 16, 3]'],
    [images(2, 16, 16), 'images.shape must be [N, 16, 16, 1], is [2, 16, 16]'],
    [images(0, 16, 16, 1), 'images.shape must be [N, 16, 16, 1], is [0, 16, 16, 1]'],
    [{ ...images(2, 16, 16, 1), data: new Uint8Array(5) }, 'images.data must hold 512 numbers, holds 5'],
    [latents(2, 16, 16, 1) as unknown as ImageBatch, 'images.data must be a Uint8Array, is Float32Array'],
    [{ data: new Uint8Array(256) } as ImageBatch, 'images.shape must be [N, 16, 16, 1], is undefined'],
    [undefined as unknown as ImageBatch, 'images.data must be a Uint8Array, is undefined'],
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

  it('says what it got in place of pixels, and keeps them out of the details', async () => {
    const san = await load();
    const data = new Uint8ClampedArray(64 * 256) as unknown as Uint8Array;
    await expect(san.reverse({ data, shape: [64, 16, 16, 1] })).rejects.toMatchObject({
      message: 'images.data must be a Uint8Array, is Uint8ClampedArray',
      details: { field: 'images', value: 'Uint8ClampedArray' },
    });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'refuses latents with %d among them, and says where it is',
    async (value) => {
      const san = await load();
      const bad = latents(1, 64, 1, 1);
      bad.data[5] = value;
      bad.data[6] = value;
      await expect(san.decode(bad)).rejects.toMatchObject({
        code: 'ERR_SAN_OPTIONS',
        message: `latents.data[5] = ${value}: expected finite numbers, such as reverse() and latents() give`,
      });
      await expect(san.interpolate({ from: { seed: 1, index: 0 }, to: bad })).rejects.toMatchObject({
        code: 'ERR_SAN_OPTIONS',
        details: { field: 'to.data[5]' },
      });
    },
  );

  it.each(['', undefined, null, 5, new URL('file:///runs/photos')])('refuses load(%o)', async (path) => {
    await expect(San.load(path as string)).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field: 'runOrCheckpoint' },
    });
  });

  const set = { count: 1, seed: 1 };
  const statistics = { mean: 0, deviation: 1 };
  it.each<[string, (san: San) => Promise<unknown>]>([
    ['signal', (san) => san.generate({ ...set, signal: 'x' as never })],
    ['signal', (san) => san.stream({ ...set, signal: {} as never }).next()],
    ['signal', (san) => san.generateTo('drawn', set, { signal: {} as never })],
    ['control', (san) => san.generateTo('drawn', set, null as never)],
    ['control', (san) => san.generateTo('drawn', set, 5 as never)],
    ['onprogress', (san) => san.generateTo('drawn', set, { onprogress() {} } as never)],
    ['onProgress', (san) => san.generateTo('drawn', set, { onProgress: 5 as never })],
    ['target', (san) => san.generateTo(5 as never, set)],
    ['target', (san) => san.generateTo('', set)],
    ['target', (san) => san.generateTo({} as never, set)],
    ['reference', (san) => san.score(images(1, 16, 16, 1), undefined as never)],
    ['reference', (san) => san.score(images(1, 16, 16, 1), { pixelError: {} } as never)],
    ['reference', (san) => san.score(images(1, 16, 16, 1), { pixelError: statistics } as never)],
    ['control', (san) => san.neighbors(images(1, 16, 16, 1), { data: images(2, 16, 16, 1) }, null as never)],
    [
      'control',
      (san) => san.interpolate({ from: { seed: 1, index: 0 }, to: { seed: 1, index: 1 } }, null as never),
    ],
  ])('refuses a wrong %s (%#)', async (field, call) => {
    const san = await load();
    await expect(Promise.resolve().then(() => call(san))).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field },
    });
  });

  it('undefined is no option at all', async () => {
    const san = await load();
    const none = { startIndex: undefined, truncation: undefined, signal: undefined };
    expect((await san.generate({ ...set, ...none })).shape).toEqual([1, 16, 16, 1]);
    const loaded = await San.load(san.path, { threads: undefined, precision: undefined, device: undefined });
    expect(loaded.precision).toBe('fp32');
  });

  it('draws a way between latents in memory', async () => {
    const san = await load();
    const ends = { from: latents(1, 64, 1, 1), to: images(1, 16, 16, 1) };
    const way = await san.interpolate({ ...ends, frames: 3 });
    expect(way).toMatchObject({ fractions: [0, 0.5, 1], images: { shape: [3, 16, 16, 1] } });
    expect(way.latents.shape).toEqual([3, 64, 1, 1]);
  });

  const seed = { seed: 1, index: 0 };
  it.each([
    [
      'ERR_SAN_OPTIONS',
      undefined,
      'options = undefined: expected an object such as { from, to, frames, pace }',
    ],
    [
      'ERR_SAN_OPTIONS',
      { from: seed },
      'to = undefined: expected an image file, { seed, index }, an image or a latent',
    ],
    ['ERR_SAN_OPTIONS', { from: '', to: seed }, /^from = "": expected an image file/],
    [
      'ERR_SAN_OPTIONS',
      { from: { seed: 1 }, to: seed },
      'from.index = undefined: expected a whole number from 0 on',
    ],
    [
      'ERR_SAN_OPTIONS',
      { from: { seed: 1, indx: 2 }, to: seed },
      'unknown option "indx"; did you mean index?',
    ],
    [
      'ERR_SAN_OPTIONS',
      { from: seed, to: seed, frames: 1 },
      'frames = 1: expected a whole number from 2 to 100000',
    ],
    [
      'ERR_SAN_OPTIONS',
      { from: seed, to: seed, frames: 1e12 },
      'frames = 1000000000000: expected a whole number from 2 to 100000',
    ],
    [
      'ERR_SAN_OPTIONS',
      { from: seed, to: seed, pace: 'evn' },
      'pace = "evn": expected even or angle; did you mean even?',
    ],
    ['ERR_SAN_OPTIONS', { from: seed, to: seed, out: 'way.png' }, /^unknown option "out"/],
    [
      'ERR_SAN_SHAPE',
      { from: images(2, 16, 16, 1), to: seed },
      'from.shape must begin with 1, is [2, 16, 16, 1]: a way has one beginning and one end',
    ],
    [
      'ERR_SAN_SHAPE',
      { from: seed, to: latents(1, 3, 1, 1) },
      'to.shape must be [N, 64, 1, 1], is [1, 3, 1, 1]',
    ],
    [
      'ERR_SAN_SHAPE',
      { from: { data: [1], shape: [1] }, to: seed },
      'from.data must be a Uint8Array, is Array',
    ],
  ])('interpolate() throws %s for %j', async (code, options, message) => {
    const san = await load();
    const expected = {
      code,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    };
    await expect(san.interpolate(options as never)).rejects.toMatchObject(expected);
  });

  it('refuses options that it does not know, and arrays that cannot be', async () => {
    const san = await load();
    const unknown = {
      code: 'ERR_SAN_OPTIONS',
      message: 'unknown option "startindex"; did you mean startIndex?',
    };
    const options = { seed: 1, count: 2, startindex: 4 };
    await expect(san.generate(options)).rejects.toMatchObject(unknown);
    await expect(san.latents(options)).rejects.toMatchObject(unknown);
    await expect(san.generateTo('drawn', options)).rejects.toMatchObject(unknown);
    expect(() => san.stream(options)).toThrow(expect.objectContaining(unknown));
    await expect(San.load('run', { thread: 1 } as never)).rejects.toMatchObject({ code: 'ERR_SAN_OPTIONS' });
    await expect(san.generate(undefined as never)).rejects.toMatchObject({ code: 'ERR_SAN_OPTIONS' });
    const { signal } = new AbortController();
    await expect(san.generate({ seed: 1, count: 2 ** 45, signal })).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field: 'count' },
    });
    const shared = { data: new Uint8Array(new SharedArrayBuffer(256)), shape: [1, 16, 16, 1] };
    await expect(san.reverse(shared as unknown as ImageBatch)).rejects.toThrow('SharedArrayBuffer');
  });

  it('asks for the latents that generate() draws from, truncated ones too', async () => {
    const asked: object[] = [];
    const { latents: draw } = fake.addon;
    fake.addon.latents = (options: Parameters<typeof draw>[0]) => {
      asked.push(options);
      return draw(options);
    };
    const san = await load();
    await san.latents({ seed: 1, count: 2, truncation: 0.5 });
    expect(asked).toEqual([
      { seed: 1, count: 2, startIndex: 0, truncation: 0.5, latentChannels: 64, latentSize: 1 },
    ]);
    await expect(san.latents({ seed: 1, count: 2, startIndex: 2 ** 53 - 1 })).rejects.toThrow('beyond 2^53');
  });

  it.each([
    ['ERR_SAN_SHAPE', images(1, 8, 8, 1), {}, 'images.shape must be [N, 16, 16, 1], is [1, 8, 8, 1]'],
    ['ERR_SAN_OPTIONS', images(1, 16, 16, 1), {}, 'data = undefined: expected a path'],
    [
      'ERR_SAN_SHAPE',
      images(1, 16, 16, 1),
      { data: images(4, 8, 8, 1) },
      'data.shape must be [N, 16, 16, 1], is [4, 8, 8, 1]',
    ],
    [
      'ERR_SAN_OPTIONS',
      images(1, 16, 16, 1),
      { data: images(4, 16, 16, 1), neighbors: 0 },
      'neighbors = 0: expected a whole number from 1 on',
    ],
  ])('neighbors() throws %s (%#)', async (code, batch, options, message) => {
    const san = await load();
    await expect(san.neighbors(batch, options as never)).rejects.toMatchObject({ code, message });
  });

  it('in memory, too, an abort throws its reason', async () => {
    const san = await load();
    const reason = new Error('enough');
    const control = { signal: AbortSignal.abort(reason) };
    await expect(san.interpolate({ from: seed, to: seed }, control)).rejects.toBe(reason);
    const data = images(4, 16, 16, 1);
    await expect(san.neighbors(images(1, 16, 16, 1), { data }, control)).rejects.toBe(reason);
  });

  it('frees the network once, and refuses work afterwards', async () => {
    const san = await load();
    await san.dispose();
    await san[Symbol.asyncDispose]();
    expect(fake.disposed).toHaveLength(1);
    const calls = [
      san.generate({ count: 1, seed: 1 }),
      san.interpolate({ from: seed, to: seed }),
      san.neighbors(images(1, 16, 16, 1), { data: images(1, 16, 16, 1) }),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'ERR_SAN_DISPOSED' });
  });
});
