import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors, readSafetensors } from '../../../lib/checkpoint/safetensors.js';
import { CheckpointError } from '../../../lib/errors.js';
import { writeFileAtomic } from '../../../lib/files.js';
import type { NativeTensor } from '../../../lib/native.js';
import { temporaryFolder } from '../support/temporary.js';

const FORMAT = 'ERR_SAN_CHECKPOINT_FORMAT';

function tensor(name: string, shape: number[], values: Float32Array | Float64Array): NativeTensor {
  const dtype = values instanceof Float32Array ? 'float32' : 'float64';
  return { name, dtype, shape, data: new Uint8Array(values.buffer) };
}

async function written(content: Uint8Array | string): Promise<string> {
  const path = join(await temporaryFolder(), 'a.safetensors');
  await writeFile(path, content);
  return path;
}

/** A file with the given header as text and so many bytes of data. */
function fileOf(header: string | Uint8Array, dataBytes = 0, length?: bigint): Buffer {
  const text = Buffer.from(header as string);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([start, text, Buffer.alloc(dataBytes, 1)]);
}

async function failure(path: string): Promise<CheckpointError> {
  const caught = await readSafetensors(path).catch((error) => error);
  expect(caught).toBeInstanceOf(CheckpointError);
  expect(caught.message).toContain(path);
  expect(caught.message).not.toMatch(/\n|undefined|\[object/);
  expect(caught.details.path).toBe(path);
  return caught;
}

async function reasonFor(content: Uint8Array): Promise<string> {
  const path = await written(content);
  const { code, message } = await failure(path);
  expect(code).toBe(FORMAT);
  return message.replace(`${path} is not a usable checkpoint: `, '');
}

const names = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', '7', '', 'a"b\\c\n', '名前', 'kernel.m0.b1'),
);
const anyTensor = fc
  .record({
    name: names.filter((name) => name !== '__metadata__'),
    double: fc.boolean(),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
    seed: fc.nat(255),
  })
  .map(({ name, double, shape, seed }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Array.from({ length: count }, (_, i) => (i + 1) / (seed + 1));
    return tensor(name, shape, double ? Float64Array.from(values) : Float32Array.from(values));
  });
const anyTensors = fc.uniqueArray(anyTensor, { selector: ({ name }) => name, maxLength: 8 });

describe('a safetensors file', () => {
  it('comes back as it was written, wide elements first, then by name', async () => {
    const path = join(await temporaryFolder(), 'a');
    await fc.assert(
      fc.asyncProperty(anyTensors, fc.dictionary(names, names), async (tensors, metadata) => {
        await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
        const file = await readSafetensors(path);
        expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(metadata).sort());
        const sorted = [...tensors].sort(
          (a, b) => (a.dtype === b.dtype ? 0 : a.dtype === 'float64' ? -1 : 1) || (a.name < b.name ? -1 : 1),
        );
        // Tensors without bytes may change places with their neighbours.
        const kept = (list: NativeTensor[]) => list.filter(({ data }) => data.length > 0);
        expect(kept(file.tensors)).toEqual(kept(sorted));
        expect(new Map(file.tensors.map((entry) => [entry.name, entry]))).toEqual(
          new Map(tensors.map((entry) => [entry.name, entry])),
        );
      }),
      { numRuns: 150 },
    );
  });

  it('gives data that can be viewed as numbers', async () => {
    const values = Float32Array.of(1.5, -2, Number.NaN, Number.POSITIVE_INFINITY, 3e-40);
    const chunks = encodeSafetensors([
      tensor('a', [5], values),
      tensor('b', [], Float64Array.of(Math.PI)),
      tensor('c', [0, 3], new Float32Array(0)),
    ]);
    const { tensors } = await readSafetensors(await written(Buffer.concat(chunks)));
    const [b, a, c] = tensors;
    expect(tensors.map(({ name }) => name)).toEqual(['b', 'a', 'c']);
    expect(b).toMatchObject({ dtype: 'float64', shape: [] });
    expect([...new Float64Array(b?.data.buffer as ArrayBuffer)]).toEqual([Math.PI]);
    expect(c).toMatchObject({ shape: [0, 3], data: new Uint8Array(0) });
    expect(a?.data.byteOffset).toBe(0);
    expect(new Float32Array(a?.data.buffer as ArrayBuffer)).toEqual(values);
  });

  it('has the same bytes for the same tensors in any order', () => {
    const tensors = [tensor('b', [1], Float32Array.of(1)), tensor('a', [1], Float32Array.of(2))];
    const encoded = Buffer.concat(encodeSafetensors(tensors, { k: 'v' }));
    expect(Buffer.concat(encodeSafetensors([...tensors].reverse(), { k: 'v' }))).toEqual(encoded);
    const length = Number(encoded.readBigUInt64LE());
    expect(length % 8).toBe(0);
    expect(
      encoded
        .subarray(8, 8 + length)
        .toString()
        .trimEnd(),
    ).toBe(
      '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
        '"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    );
  });

  it('is not written when no reader would take it', () => {
    const one = tensor('a', [1], Float32Array.of(1));
    const refused = (tensors: NativeTensor[], metadata?: Record<string, string>) =>
      expect(() => encodeSafetensors(tensors, metadata)).toThrow(CheckpointError);
    refused([one, one]);
    refused([{ ...one, name: '__metadata__' }]);
    refused([{ ...one, name: '\ud800' }]);
    refused([{ ...one, shape: [2] }]);
    refused([{ ...one, shape: [-1] }]);
    refused([one], { text: 'a\udc00' });
  });
});

describe('a file that is not there or not a file', () => {
  it('is told apart from a damaged one', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), 'x');
    for (const path of [join(folder, 'none'), join(folder, 'file', 'below')]) {
      expect((await failure(path)).code).toBe('ERR_SAN_CHECKPOINT_NOT_FOUND');
    }
  });

  it('is refused without waiting or reading', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'folder'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    await symlink(join(folder, 'circle'), join(folder, 'circle'));
    for (const path of [join(folder, 'folder'), join(folder, 'pipe'), join(folder, 'circle'), '/dev/zero']) {
      expect((await failure(path)).code).toBe(FORMAT);
    }
  });
});

describe('a hostile header', () => {
  const entry = (fields: object = {}) =>
    JSON.stringify({ dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields });

  it.each<[string, Buffer, RegExp]>([
    ['an empty file', Buffer.alloc(0), /0 bytes/],
    ['seven bytes', Buffer.alloc(7), /7 bytes/],
    ['no header', fileOf(''), /begin with \{/],
    ['a header of 2^60 bytes', fileOf('{}', 0, 2n ** 60n), /1152921504606846976 bytes; 100 MB/],
    ['a header of 2^64 - 1 bytes', fileOf('{}', 0, 2n ** 64n - 1n), /100 MB/],
    ['a header just too long', fileOf('{}', 0, 100_000_001n), /100 MB/],
    ['a header longer than the file', fileOf('{}', 0, 3n), /only 2 follow/],
    ['a longest header that is not there', fileOf('{}', 0, 100_000_000n), /only 2 follow/],
    ['space before the brace', fileOf(' {}'), /begin with \{/],
    ['a byte order mark', fileOf('\ufeff{}'), /begin with \{/],
    ['a list', fileOf('[]'), /begin with \{/],
    ['bad UTF-8', fileOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x7b, 0x7d, 0x7d])), /UTF-8/],
    ['cut JSON', fileOf('{"a":'), /should have/],
    ['an endless text', fileOf('{"a'), /end of a text/],
    ['a text that ends in a backslash', fileOf('{"a\\'), /end of a text/],
    ['a zero byte behind the header', fileOf('{}\0'), /should have the end/],
    ['two objects', fileOf('{}{}'), /should have the end/],
    ['a trailing comma', fileOf(`{"a":${entry()},}`, 8), /should have "/],
    ['control characters in a text', fileOf('{"a\n":{}}'), /control/],
    ['half a surrogate pair', fileOf(`{"\\ud800":${entry()}}`, 8), /well-formed/],
    ['a tensor twice', fileOf(`{"a":${entry()},"a":${entry()}}`, 8), /"a" twice/],
    ['a tensor twice, spelled otherwise', fileOf(`{"a":${entry()},"\\u0061":${entry()}}`, 8), /"a" twice/],
    ['metadata twice', fileOf('{"__metadata__":{},"__metadata__":{}}'), /twice/],
    ['a metadata key twice', fileOf('{"__metadata__":{"k":"1","k":"2"}}'), /"k" twice/],
    [
      'a field twice',
      fileOf('{"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}}', 4),
      /twice/,
    ],
    ['metadata that is a text', fileOf('{"__metadata__":"x"}'), /should have \{/],
    ['metadata of numbers', fileOf('{"__metadata__":{"k":1}}'), /should have "/],
    ['metadata of objects', fileOf('{"__metadata__":{"k":{"l":"m"}}}'), /should have "/],
    ['a tensor that is null', fileOf('{"a":null}'), /should have \{/],
    ['a tensor of nothing', fileOf('{"a":{}}'), /all of dtype/],
    ['a field too many', fileOf(`{"a":${entry({ more: [1] })}}`, 8), /unknown key "more"/],
    ['a dtype that is no text', fileOf(`{"a":${entry({ dtype: 1 })}}`, 8), /should have "/],
    ['an unknown dtype', fileOf(`{"a":${entry({ dtype: 'F33' })}}`, 8), /unknown dtype "F33"/],
    ['a dtype of every object', fileOf(`{"a":${entry({ dtype: 'constructor' })}}`, 8), /unknown dtype/],
    [
      'a known dtype not used here',
      fileOf(`{"a":${entry({ dtype: 'I64', shape: [1] })}}`, 8),
      /I64; only F32/,
    ],
    ['a negative size', fileOf(`{"a":${entry({ shape: [-2] })}}`, 8), /whole number/],
    [
      'a size with a fraction',
      fileOf('{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', 8),
      /should have \]/,
    ],
    [
      'a size with an exponent',
      fileOf('{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}', 8),
      /should have/,
    ],
    [
      'a size with a leading zero',
      fileOf('{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}', 8),
      /whole/,
    ],
    ['a size of 2^53', fileOf(`{"a":${entry({ shape: [2 ** 53] })}}`, 8), /whole number/],
    ['a size of 10^400', fileOf(`{"a":{"shape":[1${'0'.repeat(400)}]}}`, 8), /whole number/],
    [
      'sizes whose product is 2^64',
      fileOf(`{"a":${entry({ shape: [2 ** 32, 2 ** 32] })}}`, 8),
      /impossible shape/,
    ],
    [
      'sizes that wrap to 8 bytes',
      fileOf(`{"a":${entry({ shape: [2 ** 31, 2 ** 31 + 1, 2] })}}`, 8),
      /impossible/,
    ],
    [
      'an overflow hidden by a zero',
      fileOf(`{"a":${entry({ shape: [2 ** 40, 2 ** 40, 0] })}}`),
      /impossible/,
    ],
    ['a hundred dimensions', fileOf(`{"a":${entry({ shape: Array(100).fill(1) })}}`, 4), /at most 64/],
    ['lists in a shape', fileOf(`{"a":${entry({ shape: [[2]] })}}`, 8), /whole number/],
    ['half bytes', fileOf(`{"a":${entry({ dtype: 'F4', shape: [3] })}}`, 8), /impossible shape/],
    ['one offset', fileOf(`{"a":${entry({ data_offsets: [8] })}}`, 8), /data_offsets \[8\]/],
    ['three offsets', fileOf(`{"a":${entry({ data_offsets: [0, 8, 8] })}}`, 8), /data_offsets/],
    ['offsets the wrong way round', fileOf(`{"a":${entry({ data_offsets: [8, 0] })}}`, 8), /takes 8 bytes/],
    ['offsets of another size', fileOf(`{"a":${entry({ data_offsets: [0, 12] })}}`, 12), /takes 8 bytes/],
    ['offsets behind the file', fileOf(`{"a":${entry()}}`, 7), /cut short.*byte 8 of 7/],
    [
      'offsets far behind the file',
      fileOf(`{"a":${entry({ data_offsets: [2 ** 52, 2 ** 52 + 8] })}}`, 8),
      /before/,
    ],
    [
      'bytes before the first tensor',
      fileOf(`{"a":${entry({ data_offsets: [8, 16] })}}`, 16),
      /before tensor "a"/,
    ],
    ['bytes behind the last tensor', fileOf(`{"a":${entry()}}`, 9), /^1 bytes behind/],
    ['bytes and no tensor', fileOf('{}', 5), /^5 bytes behind/],
    ['two tensors on the same bytes', fileOf(`{"a":${entry()},"b":${entry()}}`, 8), /overlaps/],
    [
      'tensors that overlap in part',
      fileOf(`{"a":${entry()},"b":${entry({ data_offsets: [4, 12] })}}`, 12),
      /"b" overlaps/,
    ],
    [
      'a hole between tensors',
      fileOf(`{"a":${entry()},"b":${entry({ data_offsets: [12, 20] })}}`, 20),
      /before tensor "b"/,
    ],
    [
      'an empty tensor within another',
      fileOf(`{"a":${entry()},"b":${entry({ shape: [0], data_offsets: [4, 4] })}}`, 8),
      /overlaps/,
    ],
  ])('is refused: %s', async (_, content, reason) => {
    expect(await reasonFor(content)).toMatch(reason);
  });

  it.each([
    ['nothing', '{}', 0],
    ['spaces behind', '{}     ', 0],
    ['only metadata', '{"__metadata__":{"__proto__":"x"}}', 0],
    ['space everywhere', ' {"a" : {"shape":[ ] , "dtype":"F32","data_offsets":[0, 4 ]} }'.slice(1), 4],
    [
      'tensors in any order',
      '{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      8,
    ],
  ])('is not seen in an odd but whole one: %s', async (_, header, dataBytes) => {
    const { tensors } = await readSafetensors(await written(fileOf(header, dataBytes)));
    expect(tensors.reduce((bytes, { data }) => bytes + data.length, 0)).toBe(dataBytes);
  });

  it('does not lend its names to objects', async () => {
    const header = `{"__metadata__":{"__proto__":"x","toString":"y"},"__proto__":${entry()}}`;
    const { metadata, tensors } = await readSafetensors(await written(fileOf(header, 8)));
    expect(Object.entries(metadata)).toEqual([
      ['__proto__', 'x'],
      ['toString', 'y'],
    ]);
    expect(Object.getPrototypeOf(metadata)).toBeNull();
    expect(tensors[0]?.name).toBe('__proto__');
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it('takes no memory for tensors that share their bytes', async () => {
    // 20,000 tensors of 160 kB on the same bytes would make 3.2 GB out of a file of 2 MB.
    const shared = entry({ shape: [200, 200], data_offsets: [0, 160_000] });
    const header = `{${Array.from({ length: 20_000 }, (_, i) => `"w${i}":${shared}`).join(',')}}`;
    expect(await reasonFor(fileOf(header, 160_000))).toMatch(/overlaps/);
  });

  it.each([
    ['brackets', '['],
    ['braces', '{"a":'],
    ['empty objects', '{},'],
  ])('is given up early when 20 MB of %s follow', async (_, filler) => {
    const header = Buffer.alloc(20_000_000, `{"a":${filler}`);
    const before = performance.now();
    expect(await reasonFor(fileOf(header))).toMatch(/should have|all of|unknown key/);
    expect(performance.now() - before).toBeLessThan(6000);
  });

  it('is given up early when it has millions of keys', async () => {
    const keys = Array.from({ length: 2_000_000 }, (_, i) => `"${i.toString(36)}":""`).join(',');
    const before = performance.now();
    expect(await reasonFor(fileOf(`{"__metadata__":{${keys}}}`))).toMatch(/at most 100000 keys/);
    expect(performance.now() - before).toBeLessThan(6000);
  });

  it('is reported in a line of bounded length', async () => {
    const reason = await reasonFor(fileOf(`{"${'\\n'.repeat(50_000)}":{}}`));
    expect(reason.length).toBeLessThan(300);
  });
});

describe('a damaged file', () => {
  const whole = Buffer.concat(
    encodeSafetensors(
      [
        tensor('kernel.m0', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)),
        tensor('bias', [3], Float64Array.of(1, 2, 3)),
        tensor('none', [0], new Float32Array(0)),
      ],
      { step: '12', config: '{"a":"é"}' },
    ),
  );
  const dataStart = 8 + Number(whole.readBigUInt64LE());

  it('is refused wherever it was cut', async () => {
    const path = join(await temporaryFolder(), 'a');
    for (let length = 0; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length));
      expect((await failure(path)).code).toBe(FORMAT);
    }
  });

  it('is refused or read, never worse, whichever bits are flipped', async () => {
    const path = join(await temporaryFolder(), 'a');
    const flips = fc.array(fc.record({ at: fc.nat(whole.length - 1), bit: fc.nat(7) }), {
      minLength: 1,
      maxLength: 3,
    });
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const damaged = Buffer.from(whole);
        for (const { at, bit } of changes) damaged[at] = (damaged[at] as number) ^ (1 << bit);
        await writeFile(path, damaged);
        try {
          const { tensors } = await readSafetensors(path);
          const bytes = tensors.reduce((sum, { data }) => sum + data.length, 0);
          expect(bytes).toBe(damaged.length - 8 - Number(damaged.readBigUInt64LE()));
        } catch (error) {
          expect(error).toMatchObject({ code: FORMAT, message: expect.not.stringContaining('\n') });
          refused++;
        }
      }),
      { numRuns: 1500 },
    );
    expect(refused).toBeGreaterThan(300);
  });

  it('is refused or read, never worse, whatever the header is', async () => {
    const path = join(await temporaryFolder(), 'a');
    const parts = [
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\\',
      '0',
      '8',
      '-',
      ' ',
      '"a"',
      '"dtype":"F32"',
      '"shape":[2]',
      '"data_offsets":[0,8]',
      '"__metadata__"',
      '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}',
      'null',
      'é',
      '\0',
    ];
    const headers = fc
      .array(fc.constantFrom(...parts), { maxLength: 12 })
      .map((list) => `{${list.join('')}}`);
    await fc.assert(
      fc.asyncProperty(headers, async (header) => {
        await writeFile(path, fileOf(header, 8));
        const outcome = await readSafetensors(path).catch((error) => error);
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: FORMAT });
        // What is accepted here is JSON to any other reader.
        else expect(JSON.parse(header)).toBeTypeOf('object');
      }),
      { numRuns: 1500 },
    );
  });

  it('is refused when it becomes shorter while it is read', async () => {
    const size = 2 ** 26;
    const path = join(await temporaryFolder(), 'a');
    const header = `{"a":{"dtype":"F32","shape":[${size / 4}],"data_offsets":[0,${size}]}}`;
    await writeFile(path, fileOf(header));
    const handle = await open(path, 'r+');
    await handle.truncate(8 + header.length + size);
    const reading = failure(path);
    // A few turns of the loop in which the reader has seen the size.
    for (let i = 0; i < 3; i++) await handle.stat();
    await handle.truncate(dataStart);
    await handle.close();
    expect((await reading).message).toMatch(/shorter|cut short|only|should have/);
  });
});

describe('Python', () => {
  const python = [process.env.SAN_NATIVE_TEST_PYTHON, 'python3'].find(
    (command) =>
      command !== undefined && spawnSync(command, ['-c', 'import numpy, safetensors']).status === 0,
  );

  const why = 'no python3 with numpy and safetensors here; SAN_NATIVE_TEST_PYTHON may name one';
  if (python === undefined) console.info(`Skipping the exchange of files with Python: ${why}`);

  it('reads a file written here', async (context) => {
    if (python === undefined) context.skip(why);
    const path = await written(
      Buffer.concat(
        encodeSafetensors(
          [
            tensor('名 "x"', [2, 2], Float32Array.of(1, 2, 3, 0.25)),
            tensor('scalar', [], Float64Array.of(Math.PI)),
            tensor('none', [0, 3], new Float32Array(0)),
          ],
          { step: '12', text: 'é\n' },
        ),
      ),
    );
    const script = `
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], 'numpy') as f:
    tensors = {k: [str(f.get_tensor(k).dtype), list(f.get_tensor(k).shape), f.get_tensor(k).ravel().tolist()] for k in f.keys()}
    print(json.dumps([f.metadata(), tensors]))`;
    const output = execFileSync(python as string, ['-c', script, path], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual([
      { step: '12', text: 'é\n' },
      {
        '名 "x"': ['float32', [2, 2], [1, 2, 3, 0.25]],
        scalar: ['float64', [], [Math.PI]],
        none: ['float32', [0, 3], []],
      },
    ]);
  });

  it('writes a file that is read here', async (context) => {
    if (python === undefined) context.skip(why);
    const path = join(await temporaryFolder(), 'a');
    const script = `
import sys, numpy as np
from safetensors.numpy import save_file
save_file({'b': np.arange(6, dtype=np.float32).reshape(2, 3), 'a': np.array(0.5), 'é': np.zeros((0, 2))}, sys.argv[1], {'k': 'v'})`;
    execFileSync(python as string, ['-c', script, path]);
    const { metadata, tensors } = await readSafetensors(path);
    expect({ ...metadata }).toEqual({ k: 'v' });
    expect(new Map(tensors.map((entry) => [entry.name, entry]))).toEqual(
      new Map([
        ['a', tensor('a', [], Float64Array.of(0.5))],
        ['é', tensor('é', [0, 2], new Float64Array(0))],
        ['b', tensor('b', [2, 3], Float32Array.of(0, 1, 2, 3, 4, 5))],
      ]),
    );
  });
});
