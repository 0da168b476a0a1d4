/** A folder with a PNG file for each image, each there whole or not at all. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eachInParallel } from '../../data/parallel.js';
import { OutputError } from '../../errors.js';
import type { FileLock } from '../../file-lock.js';
import {
  attempt,
  ensureFolder,
  placeFile,
  removeTemporary,
  syncFolder,
  writeFileAtomic,
} from '../../files.js';
import type { IndexedImages, IndexRange } from '../stream.js';
import { lockSink } from './lock.js';
import { manifestOf, manifestText, readManifest, refuseOther } from './manifest.js';
import { encodePng, isWholePng } from './png.js';
import { type ImageSet, imageName, type Sink } from './sink.js';

const MANIFEST = 'manifest.json';
/** Files read or written at a time, whatever the number of threads: some of the time they wait for the disk. */
const FILES = 32;

export class PngFolder implements Sink {
  private constructor(
    private readonly path: string,
    readonly missing: readonly IndexRange[],
    private readonly lock: FileLock,
  ) {}

  /**
   * Images of the set that are there and whole are kept; damaged ones are drawn again. Throws OutputError when the
   * folder holds images of another set, or another process writes there.
   */
  static async open(
    path: string,
    set: ImageSet,
    { signal, onCheck }: { signal?: AbortSignal | undefined; onCheck?(done: number, total: number): void },
  ): Promise<Sink> {
    await ensureFolder(path);
    const lock = await lockSink(path);
    try {
      await removeTemporary(path);
      const indices = (await readdir(path)).flatMap((name) => {
        const index = Number(/^(\d{9,16})\.png$/.exec(name)?.[1]);
        return imageName(index) === name ? [index] : [];
      });
      const wanted = manifestOf('png', set);
      const found = await readManifest(join(path, MANIFEST));
      if (found !== undefined) {
        refuseOther(path, found, wanted);
      } else if (indices.length > 0) {
        throw new OutputError(
          `${path} holds numbered images without a ${MANIFEST} that tells where they are from; choose another folder`,
          { path },
        );
      } else {
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
      return new PngFolder(path, gaps(whole, set), lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async write(images: IndexedImages): Promise<void> {
    await eachInParallel(range(images.shape[0]), FILES, undefined, async (i) => {
      const file = await encodePng(images, i);
      await placeFile(join(this.path, imageName(images.startIndex + i)), [file]);
    });
    await attempt(this.path, () => syncFolder(this.path));
  }

  async finish(): Promise<void> {
    await this.lock.release();
  }

  async suspend(): Promise<void> {
    await this.lock.release();
  }
}

function* range(count: number): Generator<number> {
  for (let i = 0; i < count; i++) yield i;
}

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
