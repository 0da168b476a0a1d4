import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { npyHeader } from '../../lib/data/npy.js';
import { refuseOverInput } from '../../lib/output-place.js';
import { png, tarOf } from './data/sources/support.js';
import { temporaryFolder } from './support/temporary.js';

let folder = '';
beforeEach(async () => {
  folder = await temporaryFolder();
  for (const name of ['shards', 'tars', 'photos', 'texts']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'shards/a.npy'), Buffer.concat([npyHeader([1, 4, 4, 1]), new Uint8Array(16)]));
  await writeFile(join(folder, 'tars/a.tar'), await tarOf([{ name: 'a.png', content: await png(1) }]));
  await writeFile(join(folder, 'photos/a.png'), await png(1));
  await writeFile(join(folder, 'texts/a.txt'), 'text');
});

const refusal = (out: string, data: string) =>
  refuseOverInput(join(folder, out), join(folder, data), 'out').catch((error: unknown) => error);

describe('an .npy file', () => {
  it.each(['shards', 'tars'])(
    'would be read with, or keep from being read, a folder such as %s',
    async (data) => {
      await symlink(join(folder, data), join(folder, 'link'));
      for (const out of [`${data}/z.npy`, `${data}/new/z.NPY`, 'link/z.npy'])
        expect(await refusal(out, data)).toMatchObject({
          code: 'ERR_SAN_OUTPUT',
          message: expect.stringContaining(`lies in the data ${join(folder, data)}, where it would add`),
          details: { path: join(folder, out), field: 'out' },
        });
      expect(await readdir(join(folder, data))).toHaveLength(1);
      expect(await refusal('z.npy', data)).toBeUndefined();
      expect(await refusal(`${data}/z.csv`, data)).toBeUndefined();
    },
  );

  it('is none of the images of a folder that has some', async () => {
    expect(await refusal('photos/z.npy', 'photos')).toBeUndefined();
    expect(await refusal('photos/z.png', 'photos')).toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    // What has no images at all is for its reader to refuse.
    expect(await refusal('texts/z.npy', 'texts')).toBeUndefined();
  });
});
