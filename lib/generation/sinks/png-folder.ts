/** A folder with a PNG file for each image, each there whole or not at all. */
import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { eachInParallel } from '../../data/parallel.js';
import { OutputError } from '../../errors.js';
import type { FileLock } from '../../file-lock.js';
import {
  attempt,
  ensureFolder,
  removeTemporary,
  type SyncFileSystem,
  syncFiles,
  writeFileAtomic,
} from '../../files.js';
import type { IndexedImages, IndexRange } from '../stream.js';
import { lockSink } from './lock.js';
import { manifestOf, manifestText, readManifest, refuseOther } from './manifest.js';
import type { OpenControl } from './open.js';
import { isWholePng } from './png.js';
import { placePngs } from './png-pool.js';
import { type ImageSet, imageName, type Sink } from './sink.js';

const MANIFEST = 'manifest.json';
/** Entries of folders within that are looked at for pictures, so that a target in a huge tree is not searched for minutes. */
const MOST_ENTRIES = 10_000;
const IMAGE = /\.(avif|bmp|gif|jpe?g|png|tiff?|webp)$/i;
/** Files read at a time, whatever the number of threads: some of the time they wait for the disk. */
const FILES = 32;

/** Milliseconds between two syncs of what was written meanwhile. */
const SYNC_INTERVAL = 1000;

export class PngFolder implements Sink {
  /** Files written since the last sync began. */
  private readonly unsynced: string[] = [];
  private syncing: Promise<void> | undefined;
  /** Throws what an earlier sync failed with. */
  private syncFault: (() => never) | undefined;
  private nextSync = performance.now() + SYNC_INTERVAL;

  private constructor(
    private readonly path: string,
    readonly missing: readonly IndexRange[],
    private readonly lock: FileLock,
    private readonly threads: number | undefined,
    private readonly syncFileSystem: SyncFileSystem | undefined,
  ) {}

  /**
   * Images of the set that are there and whole are kept; damaged ones are drawn again. Throws OutputError when the
   * folder holds images of another set, or another process writes there.
   */
  static async open(path: string, set: ImageSet, control: OpenControl): Promise<Sink> {
    const { signal, onCheck, threads, syncFileSystem } = control;
    await ensureFolder(path);
    const lock = await lockSink(path, signal);
    try {
      await removeTemporary(path);
      const names = await attempt(path, () => readdir(path));
      const indices = names.flatMap((name) => {
        const index = Number(/^(\d{9,16})\.png$/.exec(name)?.[1]);
        return imageName(index) === name ? [index] : [];
      });
      const wanted = manifestOf('png', set);
      const found = await readManifest(join(path, MANIFEST));
      if (found !== undefined) {
        refuseOther(path, found, wanted);
      } else {
        // The manifest comes before the first image, so that none of these is of a set that was broken off.
        const foreign = names.find((name) => IMAGE.test(name)) ?? (await pictureBelow(path, control.signal));
        if (foreign !== undefined) {
          throw new OutputError(
            `${path} holds images (${foreign}) without a ${MANIFEST} that tells where they are from; choose another folder`,
            { path },
          );
        }
        await writeFileAtomic(join(path, MANIFEST), [manifestText(wanted)]);
      }
      const { startIndex, count, imageSize, imageChannels } = set;
      const there = indices.filter((index) => index >= startIndex && index < startIndex + count);
      const whole: number[] = [];
      let checked = 0;
      await eachInParallel(there, FILES, signal, async (index) => {
        // One that cannot be read is as good as none.
        const file = await readFile(join(path, imageName(index))).catch(() => undefined);
        if (file !== undefined && isWholePng(file, imageSize, imageChannels)) whole.push(index);
        onCheck?.(++checked, there.length);
      });
      return new PngFolder(path, gaps(whole, set), lock, threads, syncFileSystem);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * After a kill of the process each file is there whole or not at all; after a power failure one of the last may be
   * damaged, which open() finds.
   */
  async write(images: IndexedImages): Promise<void> {
    this.syncFault?.();
    await this.lock.requireHeld();
    await placePngs(images, this.path, this.threads);
    for (let i = 0; i < images.shape[0]; i++) this.unsynced.push(imageName(images.startIndex + i));
    if (this.syncing === undefined && performance.now() > this.nextSync) this.sync();
  }

  async finish(): Promise<void> {
    try {
      await this.syncing;
      this.syncFault?.();
      if (this.unsynced.length > 0) await syncFiles(this.path, this.unsynced, this.syncFileSystem);
    } finally {
      await this.lock.release();
    }
  }

  /** Meanwhile the next images are drawn and written. */
  private sync(): void {
    const names = this.unsynced.splice(0);
    this.syncing = syncFiles(this.path, names, this.syncFileSystem)
      .catch((error: unknown) => {
        this.syncFault = () => {
          throw error;
        };
      })
      .finally(() => {
        this.syncing = undefined;
        this.nextSync = performance.now() + SYNC_INTERVAL;
      });
  }

  async suspend(): Promise<void> {
    await this.syncing;
    await this.lock.release();
  }
}

/**
 * The first picture found in the folders in `path`, relative to it; undefined where there is none among so many entries.
 * Whoever reads `path` as data reads these folders, too. What cannot be read is passed over.
 */
async function pictureBelow(path: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const folders = [''];
  let entries = 0;
  for (const folder of folders) {
    for (const entry of await readdir(join(path, folder), { withFileTypes: true }).catch(() => [])) {
      signal?.throwIfAborted();
      if (++entries > MOST_ENTRIES) return undefined;
      const name = join(folder, entry.name);
      if (entry.name.startsWith('.')) continue;
      if (await isFolder(join(path, name), entry)) folders.push(name);
      else if (IMAGE.test(name)) return name;
    }
  }
  return undefined;
}

/** Also through a link: data is read through them. A circle of links ends with the entries. */
const isFolder = async (path: string, entry: Dirent): Promise<boolean> =>
  entry.isDirectory() ||
  (entry.isSymbolicLink() && ((await stat(path).catch(() => undefined))?.isDirectory() ?? false));

/** The indices of the set that are not among `whole`. */
function gaps(whole: readonly number[], { startIndex, count }: ImageSet): IndexRange[] {
  const missing: IndexRange[] = [];
  let next = startIndex;
  for (const index of [...whole.toSorted((a, b) => a - b), startIndex + count]) {
    if (index > next) missing.push({ start: next, count: index - next });
    next = index + 1;
  }
  return missing;
}
