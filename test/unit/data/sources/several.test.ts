import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { entriesOf, expectResumable, failureOf, idxOf, npyOf, png, tarOf, told, zipOf } from './support.js';

async function shards(): Promise<string> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'sub'));
  for (const [i, name] of ['shard-000.tar', 'shard-001.tar', 'sub/shard-002.tar'].entries()) {
    const archive = await tarOf([
      { name: `${i}a.png`, content: await png(i) },
      { name: `${i}a.cls`, content: String(i) },
      { name: `${i}b.png`, content: await png(i + 10) },
    ]);
    await writeFile(join(folder, name), i === 1 ? gzipSync(archive) : archive);
  }
  return folder;
}

const IN_FIRST_TWO = [
  'shard-000.tar/0a.png = 0',
  'shard-000.tar/0b.png',
  'shard-001.tar/1a.png = 1',
  'shard-001.tar/1b.png',
];

describe('several files', () => {
  it.each([
    'shard-*.tar',
    'shard-{000..001}.tar',
    'shard-{001,000}.tar',
    'shard-00[01].tar',
    'shard-00?.tar',
  ])('are one source, named by a pattern: %s', async (pattern) => {
    const path = join(await shards(), pattern);
    expect(await openSource(path)).toMatchObject({ kind: 'WebDataset', path });
    expect((await entriesOf(path)).map(told)).toEqual(IN_FIRST_TWO);
    await expectResumable(path);
  });

  it('are found in the folder that they are in, with what is beside them', async () => {
    const folder = await shards();
    await writeFile(join(folder, 'readme.md'), 'hello');
    const source = await openSource(folder);
    expect(source.skipped.map(({ path }) => path)).toEqual(['readme.md']);
    expect((await entriesOf(folder)).map(told)).toEqual([
      ...IN_FIRST_TWO,
      'sub/shard-002.tar/2a.png = 2',
      'sub/shard-002.tar/2b.png',
    ]);
    expect((await entriesOf(join(folder, '**/*.tar'))).map(told)).toHaveLength(6);
    await writeFile(join(folder, 'shard-000.tar'), await tarOf([{ name: 'x.png', content: await png(1) }]));
    expect((await openSource(folder)).fingerprint).not.toBe(source.fingerprint);
  });

  it('of IDX are read with their labels', async () => {
    const folder = await temporaryFolder();
    for (const [i, set] of ['train', 't10k'].entries()) {
      await writeFile(join(folder, `${set}-images-idx3-ubyte`), idxOf([2, 1, 1], [i, i + 1]));
      await writeFile(join(folder, `${set}-labels-idx1-ubyte`), idxOf([2], [i + 5, i + 6]));
    }
    const source = await openSource(folder);
    expect(source).toMatchObject({ kind: 'IDX', count: 4, skipped: [] });
    expect((await entriesOf(folder)).map(told)).toEqual([
      't10k-images-idx3-ubyte[0] = 6',
      't10k-images-idx3-ubyte[1] = 7',
      'train-images-idx3-ubyte[0] = 5',
      'train-images-idx3-ubyte[1] = 6',
    ]);
    await expectResumable(folder);
  });

  it('must be of one kind', async () => {
    const folder = await shards();
    await writeFile(join(folder, 'more.npy'), npyOf([1, 2, 2], new Uint8Array(4)));
    await writeFile(join(folder, 'more.zip'), await zipOf([{ name: 'a.png', content: await png(1) }]));
    expect((await failureOf(folder)).message).toMatch(
      /several kinds \(1 npy, 1 zip, 3 tar\); give one file, or a pattern/,
    );
    expect(await entriesOf(join(folder, '*.npy'))).toHaveLength(1);
    await writeFile(join(folder, 'text.npy'), 'hello');
    expect((await failureOf(join(folder, '*.npy'))).message).toMatch(/several kinds \(1 npy, 1 other\)/);
  });

  it('that are not there are named', async () => {
    const folder = await shards();
    await expect(openSource(join(folder, 'shard-{000..002}.tar'))).rejects.toMatchObject({
      code: 'ERR_SAN_DATA_NOT_FOUND',
      message: expect.stringMatching(/shard-002\.tar: no such file/),
    });
    await expect(openSource(join(folder, '*.zip'))).rejects.toMatchObject({ code: 'ERR_SAN_DATA_NOT_FOUND' });
    await expect(openSource(join(folder, '{1..100000000}.tar'))).rejects.toThrow(
      /cannot be understood|no such file/,
    );
  });

  it.each([
    'data (1)',
    "Ben's",
    '"best"',
    'a`b',
    'no\u00a0break',
    'this|that',
    'wow!',
    '{x}',
    'a+(b)',
    'photos [2024]',
    '[a]{b}*?',
  ])('are found by a pattern in a folder called %s', async (name) => {
    const folder = join(await temporaryFolder(), name);
    await mkdir(folder);
    const archive = await tarOf([{ name: 'a.png', content: await png(1) }]);
    for (const number of [0, 1]) await writeFile(join(folder, `s-${number}.tar`), archive);
    for (const pattern of ['*.tar', 's-{0..1}.tar', 's-{0,1}*'])
      expect((await entriesOf(join(folder, pattern))).map(told)).toEqual(['s-0.tar/a.png', 's-1.tar/a.png']);
  });

  it('with the characters of a pattern in a name are found by that name', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'a{1}[b]*.tar');
    await writeFile(path, await tarOf([{ name: 'a.png', content: await png(1) }]));
    expect(await entriesOf(path)).toHaveLength(1);
  });
});
