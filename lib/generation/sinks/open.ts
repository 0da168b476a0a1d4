/** Which sink a name asks for. */
import type { Writable } from 'node:stream';
import type { SyncFileSystem } from '../../files.js';
import { refuseMistypedFile } from '../../output-place.js';
import { FileSink } from './file-sink.js';
import { npy } from './npy.js';
import { PngFolder } from './png-folder.js';
import { RawStream } from './raw.js';
import type { ImageSet, Sink } from './sink.js';
import { tar } from './tar.js';
import { zip } from './zip.js';

const CONTAINERS = { '.npy': npy, '.tar': tar, '.zip': zip };

export interface OpenControl {
  signal?: AbortSignal | undefined;
  /** Images that are there already are looked at, for those that a file of their own each. */
  onCheck?(done: number, total: number): void;
  /** Of PNG files, the most threads that encode and write at a time. */
  threads?: number | undefined;
  /** For many files at once; without it each is synced by itself. */
  syncFileSystem?: SyncFileSystem | undefined;
}

/** Throws OutputError unless `path` can be the name of a folder, .zip, .tar or .npy file. */
export const requireKnownTarget = (path: string): Promise<void> =>
  refuseMistypedFile(path, Object.keys(CONTAINERS), {
    what: 'images',
    remedy: 'a folder for PNG files, or a .tar, .zip or .npy file',
  });

const containerOf = (path: string) =>
  CONTAINERS[/\.(npy|tar|zip)$/i.exec(path)?.[0].toLowerCase() as keyof typeof CONTAINERS];

/** Whether images written to `path` become a folder of PNG files. */
export const isPngFolder = (path: string): boolean => containerOf(path) === undefined;

/** @throws OutputError when the target cannot be used, or holds another set. */
export async function openSink(
  target: string | Writable,
  set: ImageSet,
  control: OpenControl,
): Promise<Sink> {
  if (typeof target !== 'string') return new RawStream(target, set, control.signal);
  await requireKnownTarget(target);
  const container = containerOf(target);
  return container === undefined
    ? PngFolder.open(target, set, control)
    : FileSink.open(target, container, set, control);
}
