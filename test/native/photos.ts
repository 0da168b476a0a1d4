import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

/** Makes the folder with twelve PNG files of one colour each; gives its path. */
export async function savePhotos(folder: string, red = 20): Promise<string> {
  mkdirSync(folder);
  for (let i = 0; i < 12; i++) {
    const background = { r: red * i, g: 255 - 20 * i, b: 128 };
    const image = sharp({ create: { width: 20, height: 16, channels: 3, background } });
    await image.png().toFile(join(folder, `${i}.png`));
  }
  return folder;
}
