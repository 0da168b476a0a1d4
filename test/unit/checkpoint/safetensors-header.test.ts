import { describe, expect, it } from 'vitest';
import { readSafetensors } from '../../../lib/checkpoint/safetensors.js';
import { fileOf, reasonFor, written } from './safetensors-files.js';

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
