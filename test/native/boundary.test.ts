/** What crosses the boundary to the native half, and would have crashed there, blocked or leaked. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { AUGMENTATIONS } from '../../lib/config/augmentation.js';
import { addonPath, type ImageBatch, loadAddon } from '../../lib/native.js';
import { runNode, someImages } from './support.js';

const addon = loadAddon();
const folder = mkdtempSync(join(tmpdir(), 'san-native-boundary-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const numbers = 2 * 16 * 16 * 3;
const shape: ImageBatch['shape'] = [2, 16, 16, 3];
const compare = (real: ImageBatch) =>
  addon.slicedWasserstein({ real, fake: { data: new Uint8Array(numbers), shape }, seed: 1 });

test('an array that a proxy detaches while it is read is refused', async () => {
  const data = new Uint8Array(numbers);
  const real = new Proxy<ImageBatch>(
    { data, shape },
    {
      ownKeys(target) {
        if (data.length > 0) structuredClone(data.buffer, { transfer: [data.buffer] });
        return Reflect.ownKeys(target);
      },
    },
  );
  await expect(compare(real)).rejects.toMatchObject({
    code: 'ERR_SAN_OPTIONS',
    message: expect.stringContaining('data has 0 bytes; its shape needs 1536'),
  });
  expect(data).toHaveLength(0);
});

test('an array that an entry makes longer while it is read is read as far as it was counted', async () => {
  const outcome = await runNode(`
    import { loadAddon } from './dist/lib/native.js';
    import { model } from './dist/test/native/support.js';
    const addon = loadAddon();
    const widths = [...model.widths];
    Object.defineProperty(widths, 0, {
      get() {
        widths.push(...Array(10_000).fill(4));
        return model.widths[0];
      },
    });
    const found = addon.parameters({ ...model, widths });
    console.log(widths.length, JSON.stringify(found) === JSON.stringify(addon.parameters(model)));`);
  expect(outcome.stdout, outcome.signal ?? outcome.stderr).toBe('10007 true\n');
});

test('an array that an entry makes shorter while it is read is refused', async () => {
  const short: number[] = [...shape];
  Object.defineProperty(short, 0, {
    get() {
      short.length = 1;
      return shape[0];
    },
  });
  await expect(
    compare({ data: new Uint8Array(numbers), shape: short as ImageBatch['shape'] }),
  ).rejects.toMatchObject({
    code: 'ERR_SAN_OPTIONS',
    message: expect.stringContaining('shape must hold non-negative integers; entry 1 is not one'),
  });
});

test('an array over shared memory is refused with a code', async () => {
  const data = new Uint8Array(new SharedArrayBuffer(numbers));
  await expect(compare({ data: data as never, shape })).rejects.toMatchObject({
    code: 'ERR_SAN_OPTIONS',
    message: expect.stringContaining('SharedArrayBuffer'),
  });
});

test('a result that is larger than a buffer of Node is an error, not the end of the process', async () => {
  const outcome = await runNode(`
    import { createRequire } from 'node:module';
    class NativeError extends Error { constructor(code, message) { super(message); this.code = code; } }
    const { initialise } = createRequire(import.meta.url)(${JSON.stringify(addonPath())});
    const addon = initialise(NativeError, 1, 1000);
    const of = (count) => addon.latents({ seed: 1, count, latentChannels: 2, latentSize: 1 });
    console.log((await of(125)).data.length);
    await of(126).catch(({ code, message }) => console.log(code + ' ' + message));`);
  expect(outcome.stdout, outcome.stderr).toMatch(
    /^250\nERR_SAN_OPTIONS the result has 1008 bytes; a buffer of this Node holds 1000 at most/,
  );
});

test('images whose pixels cannot be numbered are refused', async () => {
  const side = 46_341;
  const path = join(folder, 'large.npy');
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (1, ${side}, ${side}), }`.padEnd(117);
  const head = Buffer.concat([
    Buffer.from('\x93NUMPY\x01\x00v\x00', 'latin1'),
    Buffer.from(`${header}\n`, 'latin1'),
  ]);
  const file = openSync(path, 'w');
  writeSync(file, head);
  ftruncateSync(file, head.length + side * side); // takes no room
  closeSync(file);
  const augmentation = { ...AUGMENTATIONS.none, flipVertical: 1 };
  await expect(
    addon.createLoader({ dataset: { path }, batchSize: 1, seed: 1, augmentation }),
  ).rejects.toMatchObject({
    code: 'ERR_SAN_OPTIONS',
    message: expect.stringContaining('images of 46341 pixels a side are too large'),
  });
});

test('the shape of a loader is its own and constant', async () => {
  const loader = await addon.createLoader({ images: someImages(4), batchSize: 2, seed: 1 });
  expect(loader.shape).toEqual(someImages(4).shape);
  expect(Reflect.set(loader, 'shape', [])).toBe(false);
  // An accessor of the prototype could be called on another native object.
  expect('shape' in Object.getPrototypeOf(loader)).toBe(false);
  await loader.dispose();
});

test('latents are drawn beside the event loop', async () => {
  let turns = 0;
  const turning = setInterval(() => turns++, 1);
  await addon.latents({ seed: 1, count: 400, latentChannels: 512, latentSize: 1, truncation: 0.01 });
  clearInterval(turning);
  expect(turns).toBeGreaterThan(5);
});

test('memory that JavaScript lets go of while nothing runs goes back to the system', async () => {
  const outcome = await runNode(`
    import { setTimeout as wait } from 'node:timers/promises';
    import { setFlagsFromString } from 'node:v8';
    import { runInNewContext } from 'node:vm';
    import { loadAddon } from './dist/lib/native.js';
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc');
    let held = await loadAddon().latents({ seed: 1, count: 1, latentChannels: 65536, latentSize: 32 });
    await wait(1500); // the engine has given back what it kept
    const before = process.memoryUsage().rss;
    held = undefined;
    for (let i = 0; i < 20; i++) { gc(); await wait(20); }
    console.log(before - process.memoryUsage().rss);`);
  // 268 MB were held.
  expect(Number(outcome.stdout), outcome.stderr).toBeGreaterThan(200e6);
});

test('a profile does not outlive the worker that began it', async () => {
  const outcome = await runNode(`
    import { Worker } from 'node:worker_threads';
    import { loadAddon } from './dist/lib/native.js';
    const source = "import(process.cwd() + '/dist/lib/native.js').then(({ loadAddon }) => loadAddon().startProfile())";
    const worker = new Worker(source + '.then(() => process.exit(0))', { eval: true });
    await new Promise((resolve) => worker.on('exit', resolve));
    const addon = loadAddon();
    const latents = { data: Float32Array.from({ length: 64 }, (_, i) => i % 7), shape: [8, 8, 1, 1] };
    for (let i = 0; i < 20; i++) await addon.latentStatistics({ latents });
    await addon.startProfile();
    const { begin } = await addon.stopProfile();
    console.log(begin.length);`);
  expect(outcome.stdout, outcome.stderr).toBe('0\n');
});

test('a process ends while it looks for the other ranks', async () => {
  const outcome = await runNode(`
    import { loadAddon } from './dist/lib/native.js';
    const group = { rank: 1, worldSize: 2, host: '127.0.0.1', port: 1, prefix: 'x', agreement: '' };
    loadAddon().createGroup({ ...group, joinTimeout: 100_000 }).catch(() => {});
    const began = performance.now();
    process.on('exit', () => console.log(performance.now() - began));
    setTimeout(() => process.exit(3), 300);`);
  expect(outcome.code, outcome.stderr).toBe(3);
  // An attempt of a second or two is under way. With a timeout of 100 s it took as long.
  expect(Number(outcome.stdout)).toBeLessThan(20_000);
});
