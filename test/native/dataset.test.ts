/** Training on a mapped .npy file, and every way in which such a file can be wrong. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NativeError } from '../../lib/errors.js';
import { loadAddon, type TrainerOptions } from '../../lib/native.js';
import { npyHeader, writeNpy } from './npy.js';
import { someImages, trainerOptions } from './support.js';

const addon = loadAddon();
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function onFile(path: string): TrainerOptions {
  const { images: _, ...options } = trainerOptions();
  return { ...options, threads: 1, dataset: { path } };
}

function file(name: string, ...parts: Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

test('a file gives the same steps as the same images in memory, in each version of the format', async () => {
  const images = someImages(18);
  const header = npyHeader(images.shape);
  const long = Buffer.concat([header.subarray(0, 8), Buffer.alloc(4), header.subarray(10)]);
  long.writeUInt32LE(header.length - 10, 8);
  const inMemory = await addon.createTrainer(trainerOptions({ images, threads: 1 }));
  await inMemory.run({ steps: 6 });
  const expected = await inMemory.state();
  for (const version of [1, 2, 3]) {
    const head = Buffer.from(version === 1 ? header : long);
    head[6] = version;
    const trainer = await addon.createTrainer(onFile(file('whole.npy', head, images.data)));
    await trainer.run({ steps: 6 });
    expect(await trainer.state()).toEqual(expected);
    await trainer.dispose();
  }
  await inMemory.dispose();
});

describe('what is no file of images is refused', () => {
  const data = someImages(4).data;
  const text = (text: string) =>
    Buffer.concat([npyHeader([1]).subarray(0, 8), length(text), Buffer.from(text)]);
  const length = (text: string) => Buffer.from([text.length & 255, text.length >> 8]);
  const cases: [string, () => string, string, RegExp][] = [
    [
      'nothing there',
      () => join(folder, 'none.npy'),
      'ERR_SAN_DATA_NOT_FOUND',
      /cannot open .*none\.npy: No such file/,
    ],
    ['a folder', () => folder, 'ERR_SAN_DATA_FORMAT', /it is not a file/],
    ['an empty file', () => file('a.npy'), 'ERR_SAN_DATA_FORMAT', /it is empty/],
    [
      'another format',
      () => file('a.npy', Buffer.from('PK\x03\x04 and so on')),
      'ERR_SAN_DATA_FORMAT',
      /does not begin as/,
    ],
    [
      'a cut header',
      () => file('a.npy', npyHeader([4, 8, 8, 3]).subarray(0, 40)),
      'ERR_SAN_DATA_FORMAT',
      /ends within its header/,
    ],
    [
      'floats',
      () => file('a.npy', npyHeader([4, 8, 8, 3], { descr: '<f4' }), data),
      'ERR_SAN_DATA_FORMAT',
      /type '<f4', not uint8/,
    ],
    [
      'Fortran order',
      () => file('a.npy', npyHeader([4, 8, 8, 3], { fortran: 'True' }), data),
      'ERR_SAN_DATA_FORMAT',
      /Fortran order/,
    ],
    [
      'two dimensions',
      () => file('a.npy', npyHeader([4, 192]), data),
      'ERR_SAN_DATA_FORMAT',
      /shape \(4, 192\)/,
    ],
    ['no image', () => file('a.npy', npyHeader([0, 8, 8, 3])), 'ERR_SAN_DATA_FORMAT', /shape \(0, 8, 8, 3\)/],
    [
      'a byte short',
      () => file('a.npy', npyHeader([4, 8, 8, 3]), data.subarray(1)),
      'ERR_SAN_DATA_FORMAT',
      /has 767 bytes after its header.*needs 768/,
    ],
    [
      'a byte long',
      () => file('a.npy', npyHeader([4, 8, 8, 3]), data, Buffer.alloc(1)),
      'ERR_SAN_DATA_FORMAT',
      /has 769 bytes/,
    ],
    [
      'an overflowing shape',
      () => file('a.npy', npyHeader([2 ** 31, 2 ** 31, 2 ** 31, 3]), data),
      'ERR_SAN_DATA_FORMAT',
      /shape/,
    ],
    [
      'a number beyond 64 bits',
      () => file('a.npy', text("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}")),
      'ERR_SAN_DATA_FORMAT',
      /dictionary/,
    ],
    [
      'code in place of a literal',
      () => file('a.npy', text("{'descr': '|u1', 'fortran_order': exit(), 'shape': (1,)}")),
      'ERR_SAN_DATA_FORMAT',
      /dictionary/,
    ],
    [
      'fields',
      () => file('a.npy', text("{'descr': [('r', '|u1')], 'fortran_order': False, 'shape': (1,)}")),
      'ERR_SAN_DATA_FORMAT',
      /dictionary/,
    ],
    [
      'another size',
      () => file('a.npy', npyHeader([4, 16, 4, 3]), data),
      'ERR_SAN_SHAPE',
      /\(4, 16, 4, 3\); this model takes \(N, 8, 8, 3\)/,
    ],
    ['grey for colour', () => file('a.npy', npyHeader([12, 8, 8]), data), 'ERR_SAN_SHAPE', /\(12, 8, 8, 1\)/],
    [
      'too few images',
      () => file('a.npy', npyHeader([3, 8, 8, 3]), data.subarray(192)),
      'ERR_SAN_OPTIONS',
      /batchSize is 4.*3 images/,
    ],
  ];
  test.each(cases)('%s', async (_, path, code, message) => {
    const attempt = addon.createTrainer(onFile(path()));
    await expect(attempt).rejects.toBeInstanceOf(NativeError);
    await expect(attempt).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  test('both a file and images', async () => {
    const attempt = addon.createTrainer({ ...onFile('a.npy'), images: someImages(18) });
    await expect(attempt).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field: 'trainer.dataset' },
    });
  });

  test('any bytes in a header: refused with a code, or used', async () => {
    const whole = Buffer.concat([npyHeader([4, 8, 8, 3]), data]);
    const edit = fc.record({ at: fc.nat(140), bytes: fc.uint8Array({ minLength: 1, maxLength: 6 }) });
    const cut = fc.nat(whole.length);
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 4 }), fc.option(cut), async (edits, end) => {
        const bytes = Buffer.from(whole);
        for (const { at, bytes: changed } of edits) bytes.set(changed, at);
        const path = file('fuzz.npy', bytes.subarray(0, end ?? bytes.length));
        const trainer = await addon.createTrainer(onFile(path)).catch((error: NativeError) => error);
        if (trainer instanceof NativeError) expect(trainer.code).toMatch(/DATA_FORMAT|SHAPE|OPTIONS/);
        else await trainer.dispose();
      }),
      { numRuns: 150 },
    );
  });
});

test('a file that is cut while in use ends the run with an error, and the trainer stays usable', async () => {
  const path = join(folder, 'cut.npy');
  writeNpy(path, someImages(18));
  const trainer = await addon.createTrainer(onFile(path));
  await trainer.run({ steps: 1 });
  truncateSync(path, 200);
  const failing = trainer.run({ steps: 9 });
  await expect(failing).rejects.toMatchObject({
    code: 'ERR_SAN_DATA_CHANGED',
    message: expect.stringMatching(
      /cut\.npy has become shorter while in use: 200 bytes, were 3584/,
    ) as string,
  });
  writeNpy(path, someImages(18));
  expect((await trainer.run({ steps: 2 })).losses).toHaveLength(2);
  await trainer.dispose();
});
