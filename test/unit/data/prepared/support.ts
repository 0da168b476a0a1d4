import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { temporaryFolder } from '../../support/temporary.js';

/** A PNG of one shade of grey, by which it is known again. */
export function shade(value: number): Promise<Buffer> {
  const pixels = new Uint8Array(64).fill(value);
  return sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
}

/** A folder with these files; a number stands for a picture of that shade. */
export async function folderOf(files: Record<string, number | string | Uint8Array>): Promise<string> {
  const root = await temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), typeof content === 'number' ? await shade(content) : content);
  }
  return root;
}
