/** Finds the image files in a folder. */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileErrorReason } from '../files.js';
import { HEAD_BYTES, IMAGE_KINDS, type ImageKind, imageKind } from './kind.js';
import { eachInParallel } from './parallel.js';

/** A file, or a folder with all in it, that was passed over. */
export interface Skipped {
  /** Relative to the folder that was searched, with "/". */
  path: string;
  /** One line, such as "permission denied". */
  reason: string;
}

export interface ImageFile {
  /** Relative to the folder that was searched, with "/". */
  path: string;
  kind: ImageKind;
}

export interface Listing {
  /** Ordered by path. */
  images: ImageFile[];
  /** Ordered by path. */
  skipped: Skipped[];
}

/** Files opened at once. */
const IN_PARALLEL = 16;

/** Orders by UTF-16 code units: the same in every locale. */
export function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

/**
 * Finds all image files in `root` and the folders in it, told by their content. Names that begin with a dot are passed
 * over in silence; all else that is not an image is listed as skipped. Symbolic links are followed; a folder that is
 * reached in more than one way, or that contains itself, is searched once.
 */
export async function findImages(root: string, signal: AbortSignal | undefined): Promise<Listing> {
  const { files, skipped } = await listFiles(root, signal);
  const images: ImageFile[] = [];
  await eachInParallel(files, IN_PARALLEL, signal, async (path) => {
    try {
      const kind = imageKind(await readHead(join(root, path)));
      if (kind !== undefined) images.push({ path, kind });
      else skipped.push({ path, reason: `not a ${IMAGE_KINDS.join(', ')} image` });
    } catch (error) {
      skipped.push({ path, reason: fileErrorReason(error) });
    }
  });
  return { images: images.sort(byPath), skipped: skipped.sort(byPath) };
}

async function readHead(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function listFiles(root: string, signal: AbortSignal | undefined) {
  const files: string[] = [];
  const skipped: Skipped[] = [];
  const seen = new Set<string>();
  const folders = [''];
  // Links wait until all real folders are searched, so that a folder's files go by its real path.
  const links: string[] = [];

  const searchFolder = async (folder: string): Promise<void> => {
    const { dev, ino } = await stat(join(root, folder), { bigint: true });
    const identity = `${dev}:${ino}`;
    if (seen.has(identity)) return;
    seen.add(identity);
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isSymbolicLink()) links.push(path);
      else if (entry.isFile()) files.push(path);
      else skipped.push({ path, reason: 'not a regular file' });
    }
  };
  const followLink = async (path: string): Promise<void> => {
    const target = await stat(join(root, path));
    if (target.isDirectory()) folders.push(path);
    else if (target.isFile()) files.push(path);
    else skipped.push({ path, reason: 'not a regular file' });
  };

  for (;;) {
    signal?.throwIfAborted();
    const folder = folders.pop();
    const path = folder ?? takeFirst(links);
    if (path === undefined) return { files, skipped };
    try {
      await (folder === undefined ? followLink(path) : searchFolder(path));
    } catch (error) {
      skipped.push({ path: path === '' ? '.' : path, reason: fileErrorReason(error) });
    }
  }
}

/** Removes the first in order, which makes the path by which a link is searched independent of the file system. */
function takeFirst(paths: string[]): string | undefined {
  paths.sort().reverse();
  return paths.pop();
}
