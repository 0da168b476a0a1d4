/** Image files in a folder and the folders in it, ordered by path. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileErrorReason } from '../../files.js';
import type { ImageFile, Listing } from '../folder.js';
import type { ImageSource, ReadOptions, SourceEntry } from '../source.js';
import { readAhead } from './ahead.js';
import { encodedEntry, MAX_FILE_BYTES, skippedEntry, TOO_LARGE } from './entry.js';
import { fingerprintOf } from './fingerprint.js';

const AHEAD = { items: 4, bytes: 2 ** 25 };

export function folderSource(root: string, { images, skipped }: Listing): ImageSource {
  return {
    kind: 'folder',
    path: root,
    count: images.length,
    fingerprint: fingerprintOf('folder', images),
    skipped,
    entries: (options) => read(root, images, options),
  };
}

async function* read(
  root: string,
  images: readonly ImageFile[],
  { from = 0, signal }: ReadOptions = {},
): AsyncGenerator<SourceEntry> {
  const indexes = Array.from({ length: Math.max(0, images.length - from) }, (_, i) => from + i);
  const file = (index: number) => images[index] as ImageFile;
  const load = (index: number) => loadEntry(root, file(index), index);
  for await (const entry of readAhead(indexes, AHEAD, (index) => file(index).size, load)) {
    signal?.throwIfAborted();
    yield entry;
  }
}

async function loadEntry(root: string, { path, size }: ImageFile, index: number): Promise<SourceEntry> {
  const head = { index, name: path, label: classFolder(path) };
  if (size > MAX_FILE_BYTES) return skippedEntry(head, TOO_LARGE);
  try {
    return encodedEntry(head, await readFile(join(root, path)));
  } catch (error) {
    return skippedEntry(head, fileErrorReason(error));
  }
}

/** The folder directly under the root, as in torchvision's ImageFolder. */
function classFolder(path: string): string | undefined {
  const slash = path.indexOf('/');
  return slash < 0 ? undefined : path.slice(0, slash);
}
