/** Finds the image files in a folder. */
import type { Dirent, Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileErrorReason } from '../files.js';
import type { ImageKind } from './kind.js';
import { eachInParallel } from './parallel.js';
import { formatReason } from './sources/entry.js';
import type { FileFacts } from './sources/fingerprint.js';
import { type FileFormat, readFormat } from './sources/format.js';

/** A file, or a folder with all in it, that was passed over. */
export interface Skipped {
  /** Relative to the folder that was searched, with "/". */
  path: string;
  /** One line, such as "permission denied". */
  reason: string;
}

export interface ImageFile extends FileFacts {
  kind: ImageKind;
}

/** A file that is no image, but holds some. */
export interface ContainerFile extends FileFacts {
  format: FileFormat;
}

export interface Listing {
  /** Ordered by path. */
  images: ImageFile[];
  /** Ordered by path. They are among the skipped, too. */
  containers: ContainerFile[];
  /** Ordered by path. */
  skipped: Skipped[];
}

/** Whether a folder is read as the files in it that hold images, for want of images of its own. */
export const isOfContainers = ({ images, containers }: Listing): boolean =>
  images.length === 0 && containers.some(({ format }) => format.container !== 'IDX labels');

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
  const containers: ContainerFile[] = [];
  await eachInParallel(files, IN_PARALLEL, signal, async (path) => {
    try {
      const { size, modified, ...format } = await readFormat(join(root, path));
      if (format.image !== undefined && !format.gzipped) {
        images.push({ path, size, modified, kind: format.image });
        return;
      }
      if (format.container !== undefined) containers.push({ path, size, modified, format });
      skipped.push({ path, reason: size === 0 ? 'it is empty' : formatReason(format) });
    } catch (error) {
      skipped.push({ path, reason: reasonFor(path, error) });
    }
  });
  return {
    images: images.sort(byPath),
    containers: containers.sort(byPath),
    skipped: skipped.sort(byPath),
  };
}

/** Names are read as UTF-8; one that is not, as of an old archive, is then another one, which nothing has. */
const reasonFor = (path: string, error: unknown): string =>
  (error as NodeJS.ErrnoException).code === 'ENOENT' && path.includes('\ufffd')
    ? 'its name, or that of its folder, is not in UTF-8; rename it'
    : fileErrorReason(error);

async function listFiles(root: string, signal: AbortSignal | undefined) {
  const files: string[] = [];
  const skipped: Skipped[] = [];
  const folders = [''];
  const links: string[] = [];
  const searched = new Set<string>();

  const searchFolder = async (folder: string): Promise<void> => {
    const { dev, ino } = await stat(join(root, folder), { bigint: true });
    const identity = `${dev}:${ino}`;
    if (searched.has(identity)) return;
    searched.add(identity);
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      if (!entry.name.startsWith('.')) sort(folder === '' ? entry.name : `${folder}/${entry.name}`, entry);
    }
  };
  const sort = (path: string, entry: Dirent | Stats): void => {
    if (entry.isDirectory()) folders.push(path);
    else if (entry.isFile()) files.push(path);
    else if (entry.isSymbolicLink()) links.push(path);
    else skipped.push({ path, reason: 'it is neither a file nor a folder' });
  };
  const attempt = async (path: string, action: () => Promise<void>): Promise<void> => {
    signal?.throwIfAborted();
    try {
      await action();
    } catch (error) {
      skipped.push({ path: path === '' ? '.' : path, reason: reasonFor(path, error) });
    }
  };

  while (folders.length > 0) {
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const path = folder;
      await attempt(path, () => searchFolder(path));
    }
    // Links come after all real folders, so that a file goes by its real path if it has one here, and in order, so
    // that its path does not depend on the file system.
    for (const path of links.splice(0).sort()) {
      await attempt(path, async () => sort(path, await stat(join(root, path))));
    }
  }
  return { files, skipped };
}
