import { mkdir, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { entriesOf, expectResumable, npyOf, png, tarOf, told } from './support.js';

async function pictures(): Promise<string> {
  const root = await temporaryFolder();
  await mkdir(join(root, 'cat/young'), { recursive: true });
  await mkdir(join(root, 'dög sleeping'));
  for (const [i, name] of ['b.png', 'cat/young/a.jpg', 'dög sleeping/1 2.png', '.hidden.png'].entries()) {
    await writeFile(join(root, name), await png(i));
  }
  return root;
}

describe('a folder', () => {
  it('gives its images by path, labelled by the folder under the root', async () => {
    const root = await pictures();
    await symlink(root, join(root, 'cat/loop'));
    await writeFile(join(root, 'cat/note.txt'), 'a cat');
    const source = await openSource(root);
    expect(source).toMatchObject({ kind: 'folder', path: root, count: 3 });
    expect(source.skipped).toEqual([
      { path: 'cat/note.txt', reason: expect.stringMatching(/not an image of a known kind/) },
    ]);
    const entries = await entriesOf(root);
    expect(entries.map(told)).toEqual([
      'b.png',
      'cat/young/a.jpg = "cat"',
      'dög sleeping/1 2.png = "dög sleeping"',
    ]);
    expect(entries[2]).toMatchObject({ form: 'encoded', bytes: await png(2) });
    await expectResumable(root);
  });

  it('says of names that are not in UTF-8 why they cannot be opened', async () => {
    const root = await pictures();
    // As Latin-1 has it.
    const latin = (name: string) =>
      Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name.replace('é', '\xe9'), 'latin1')]);
    await writeFile(latin('café.png'), await png(1));
    await mkdir(latin('été'));
    // What stands for such letters may be a part of a name itself.
    await writeFile(join(root, 'caf\ufffd2.png'), await png(2));
    const { count, skipped } = await openSource(root);
    const reason = 'its name, or that of its folder, is not in UTF-8; rename it';
    expect(count).toBe(4);
    expect(skipped.map((one) => one.reason)).toEqual([reason, reason]);
    expect(skipped.map(({ path }) => path.includes('\ufffd'))).toEqual([true, true]);
  });

  it('has a fingerprint of names, sizes and times', async () => {
    const root = await pictures();
    const fingerprint = async () => (await openSource(root)).fingerprint;
    const first = await fingerprint();
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await fingerprint()).toBe(first);
    await utimes(join(root, 'b.png'), 1, 1);
    const touched = await fingerprint();
    await rename(join(root, 'b.png'), join(root, 'c.png'));
    const renamed = await fingerprint();
    expect(new Set([first, touched, renamed]).size).toBe(3);
  });

  it('names archives among its images as what they are', async () => {
    const root = await pictures();
    await writeFile(join(root, 'more.tar'), await tarOf([{ name: 'a.png', content: await png(1) }]));
    await writeFile(join(root, 'more.npy'), npyOf([1, 2, 2], new Uint8Array(4)));
    expect((await openSource(root)).skipped).toEqual([
      { path: 'more.npy', reason: 'it is a npy file, a source of its own' },
      { path: 'more.tar', reason: 'it is a tar file, a source of its own' },
    ]);
  });

  it('that loses a file while it is read names that', async () => {
    const root = await pictures();
    const source = await openSource(root);
    await rename(join(root, 'b.png'), join(root, 'c.png'));
    const told: unknown[] = [];
    for await (const entry of source.entries()) told.push(entry);
    expect(told[0]).toEqual({ form: 'skipped', index: 0, path: 'b.png', reason: 'no such file or folder' });
    expect(told).toHaveLength(3);
  });

  it('stops at an abort', async () => {
    const controller = new AbortController();
    const source = await openSource(await pictures());
    const reason = new Error('enough');
    const reading = (async () => {
      for await (const _ of source.entries({ signal: controller.signal })) controller.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
    await expect(openSource(source.path, { signal: controller.signal })).rejects.toBe(reason);
  });
});

describe('what is no source', () => {
  it('is refused in words', async () => {
    const root = await temporaryFolder();
    await expect(openSource(join(root, 'missing'))).rejects.toMatchObject({ code: 'ERR_SAN_DATA_NOT_FOUND' });
    await writeFile(join(root, 'one.png'), await png(1));
    await expect(openSource(join(root, 'one.png'))).rejects.toThrow(/single PNG image; give the folder/);
    await writeFile(join(root, 'text'), 'hello');
    await expect(openSource(join(root, 'text'))).rejects.toThrow(
      /none of the files that images are read from: zip, tar, IDX, CIFAR, npy, Parquet/,
    );
    await expect(openSource('/dev/null')).rejects.toThrow(/neither a folder nor a file/);
  });
});
