import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, expect, it, vi } from 'vitest';
import type { LoaderOptions, NativeLoader } from '../../../lib/native.js';
import { previewAugmentation } from '../../../lib/training/preview-augmentation.js';
import { cli } from '../support/cli.js';
import { fakeAddon } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

const SIZE = 16;
let disposals: number;
let options: LoaderOptions[];
let data: string;
beforeEach(async () => {
  [disposals, options] = [0, []];
  const { addon } = fakeAddon();
  addon.createLoader = async (given) => {
    options.push(given);
    return {
      // Grey levels that tell image, epoch, and whether it is augmented.
      images: async ({ epoch, indices }) => {
        const levels = indices.map((index) => (given.augmentation ? 16 * (epoch + 1) : 0) + index);
        const pixels = levels.flatMap((level) => Array<number>(SIZE * SIZE * 3).fill(level));
        return { data: Uint8Array.from(pixels), shape: [levels.length, SIZE, SIZE, 3] };
      },
      dispose: async () => {
        disposals++;
      },
    } as NativeLoader;
  };
  native.addon = addon;
  data = join(await temporaryFolder(), 'data');
  await mkdir(data);
  for (let i = 0; i < 11; i++) {
    const background = { r: i * 20, g: 0, b: 0 };
    const picture = sharp({ create: { width: SIZE, height: SIZE, channels: 3, background } });
    await picture.png().toFile(join(data, `${String(i).padStart(2, '0')}.png`));
  }
});

/** Levels in the middle of each image of a sheet. */
async function levelsOf(png: Buffer | string): Promise<number[][]> {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const cell = Math.round(info.width / 9);
  return Array.from({ length: Math.round(info.height / cell) }, (_, row) =>
    Array.from({ length: 9 }, (_, column) => {
      const [x, y] = [column, row].map((at) => Math.floor((at + 0.5) * cell)) as [number, number];
      return data[(y * info.width + x) * 3] ?? -1;
    }),
  );
}

/** Eight of eleven images, evenly spread: each as it is, then as epochs 0 to 7 see it. */
const EXPECTED = [0, 1, 2, 4, 5, 6, 8, 9].map((index) => [
  index,
  ...Array.from({ length: 8 }, (_, epoch) => 16 * (epoch + 1) + index),
]);

it('draws images in rows, each as it is and then as the epochs see it', async () => {
  const png = await previewAugmentation({ data, imageSize: SIZE, batchSize: 2, augment: 'digits', seed: 7 });
  expect(await levelsOf(png)).toEqual(EXPECTED);
  expect(options).toEqual([
    expect.objectContaining({ seed: 7, batchSize: 2 }),
    expect.objectContaining({ seed: 7, augmentation: expect.objectContaining({ rotate: 10 }) }),
  ]);
  expect(options[0]).not.toHaveProperty('augmentation');
  expect(disposals).toBe(2);
});

it('of the command line goes to a folder that is made', async () => {
  const path = join(data, '../new/seen.png');
  const size = ['--image-size', String(SIZE), '--batch-size', '2'];
  const { status, out, err } = await cli('train', data, ...size, '--preview-augment', path);
  expect({ status, out }).toEqual({ status: 0, out: '' });
  expect(err).toContain(`wrote ${path}\n`);
  expect(await levelsOf(path)).toEqual(EXPECTED);
});
