/** Pictures that commands write beside their main output. */
import { dirname } from 'node:path';
import { UsageError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';

/** Throws UsageError for a file of a flag whose name does not say that it is a PNG. */
export function requirePng(flag: string, path: string | undefined): void {
  if (path === undefined || /\.png$/i.test(path)) return;
  throw new UsageError(`--${flag} ${path}: the picture is a PNG file; give it a name that ends in .png`);
}

/** Writes it, and makes its folder. Throws OutputError. */
export async function writePicture(path: string, png: Uint8Array): Promise<void> {
  await ensureFolder(dirname(path));
  await writeFileAtomic(path, [png]);
}
