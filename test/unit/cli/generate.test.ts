/** `generate` where the run that draws still trains, and beside the images that it was trained on. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { precisionError } from '../../../lib/generation/precision-error.js';
import { San } from '../../../lib/generation/san.js';
import { recordData, runAndPhotos } from '../reverser/support.js';
import { writeCheckpoint } from '../support/checkpoint.js';
import { cli } from '../support/cli.js';
import { fakeAddon } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await temporaryFolder();
  ({ path } = await writeCheckpoint(folder));
  const { addon } = fakeAddon();
  native.addon = { ...addon, parameters: () => [] };
});

/** The checkpoint goes while images are drawn from it. */
function prunedMeanwhile(): void {
  const addon = native.addon as NonNullable<typeof native.addon>;
  native.addon = {
    ...addon,
    createNetwork: async (options) => {
      const network = await addon.createNetwork(options);
      return {
        ...network,
        generate: async (set) => {
          await rm(path, { force: true });
          return network.generate(set);
        },
      };
    },
  };
}

describe('the cost of a lower precision', () => {
  const args = () => ['generate', path, '--count', '3', '--precision', 'bf16', '-o', join(folder, 'drawn')];

  it('is told', async () => {
    expect((await cli(...args())).out).toContain(
      'bf16: the first 3 are 0.00 of 255 levels from those in fp32',
    );
    expect(JSON.parse((await cli(...args(), '--json')).out)).toMatchObject({ precisionError: 0 });
  });

  it('is not known once the checkpoint is gone, and no reason to keep quiet about the images', async () => {
    prunedMeanwhile();
    const { status, out, err } = await cli(...args());
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(/^3 images of seed 1 from .*\nbf16: how far .* is not known: .*san\.safetensors/);
    expect((await readdir(join(folder, 'drawn'))).sort().slice(0, 3)).toEqual([
      '000000000.png',
      '000000001.png',
      '000000002.png',
    ]);
  });

  it('is then null in JSON', async () => {
    prunedMeanwhile();
    const { status, out } = await cli(...args(), '--json');
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ count: 3, drawn: 3, precisionError: null });
  });

  it('needs options', async () => {
    await using san = await San.load(path);
    for (const wrong of [undefined, null, 3])
      await expect(precisionError(san, wrong as never)).rejects.toMatchObject({ code: 'ERR_SAN_OPTIONS' });
  });
});

describe('the images of the training', () => {
  it('are kept apart from drawn images and sheets', async () => {
    const { folder, run, photos } = await runAndPhotos();
    await recordData(run, photos);
    const before = (await readdir(photos)).sort();
    const places = {
      '--out': [photos, join(photos, 'drawn')],
      '--grid': [join(photos, 'grid.png'), join(photos, 'sheets/grid.png')],
    };
    for (const [flag, paths] of Object.entries(places))
      for (const place of paths) {
        const { status, err } = await cli('generate', run, '--count', '2', flag, place);
        expect({ status, err }).toEqual({
          status: 1,
          err: expect.stringMatching(/^error ERR_SAN_OUTPUT: .* the data .* add (or replace )?images/),
        });
      }
    expect((await readdir(photos)).sort()).toEqual(before);
    for (const elsewhere of [join(folder, 'drawn'), join(photos, 'drawn.npy')])
      expect(await cli('generate', run, '--count', '2', '--out', elsewhere)).toMatchObject({ status: 0 });
  });
});
