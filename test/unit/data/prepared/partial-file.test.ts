import { readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PartialFile } from '../../../../lib/data/prepared/partial-file.js';
import { temporaryFolder } from '../../support/temporary.js';

it('takes rows by the hundred thousand, and reads them back from its journal', async () => {
  const out = join(await temporaryFolder(), 'set.npy');
  const count = 300_000;
  const list = <T>(value: T): T[] => Array(count).fill(value);
  const file = await PartialFile.open(out, 'key', 1);
  await file.add({
    next: 2 * count,
    pixels: new Uint8Array(count).fill(7),
    labels: list(3),
    names: list('a'),
    skipped: list({ path: 'b', reason: 'it is empty' }),
  });
  await file.commit();
  await file.close();
  const again = await PartialFile.open(out, 'key', 1);
  expect(again).toMatchObject({ next: 2 * count, rows: count });
  for (const { length } of [again.labels, again.names, again.skipped]) expect(length).toBe(count);
  expect([again.labels.at(-1), again.names.at(-1)]).toEqual([3, 'a']);
  await again.close();
});

it('that cannot be gone on with keeps no file open', async () => {
  const out = join(await temporaryFolder(), 'set.npy');
  const lines = [{ key: 'key' }, { next: 0, rows: 0, skipped: [] }].map(
    (line) => `${JSON.stringify(line)}\n`,
  );
  await writeFile(`${out}.journal`, lines.join(''));
  // A device, which can be opened but not cut.
  await symlink('/dev/full', `${out}.partial`);
  const open = async () => (await readdir('/proc/self/fd')).length;
  const before = await open();
  for (let i = 0; i < 8; i++)
    await expect(PartialFile.open(out, 'key', 1)).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
  expect(await open()).toBeLessThan(before + 8);
});
