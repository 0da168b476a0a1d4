/**
 * A file that grows image by image and can be gone on with after a kill. It grows in a folder beside its place, with a
 * manifest of how much of it is safe on the disk: what comes after that is cut off and drawn again, so that the file
 * ends with the bytes of an unbroken run. Finished, it moves to its place, and the manifest beside it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OutputError } from '../../errors.js';
import type { FileLock } from '../../file-lock.js';
import {
  attempt,
  ensureFolder,
  removeTemporary,
  syncFile,
  syncFolder,
  writeFileAtomic,
} from '../../files.js';
import type { IndexedImages, IndexRange } from '../stream.js';
import { lockSink } from './lock.js';
import { type Manifest, manifestOf, manifestText, readManifest, refuseOther } from './manifest.js';
import type { OpenControl } from './open.js';
import type { ImageSet, Sink } from './sink.js';

/** A format with its images one after the other. All bytes depend on the set alone. */
export interface Container {
  readonly kind: Manifest['kind'];
  /** What comes before the first image. */
  head(set: ImageSet): Uint8Array;
  /** In so many threads at most. */
  encode(images: IndexedImages, threads?: number): Promise<Uint8Array>;
  /** What comes after the last image, which ends at `end`; `file` may be read. */
  tail(set: ImageSet, file: FileHandle, end: number): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Milliseconds of work that a kill may cost. */
const COMMIT_INTERVAL = 1000;

export class FileSink implements Sink {
  private lastCommit = performance.now();

  private constructor(
    private readonly path: string,
    private readonly container: Container,
    private readonly set: ImageSet,
    private readonly file: FileHandle,
    private readonly lock: FileLock,
    private images: number,
    private bytes: number,
    private readonly threads: number | undefined,
  ) {}

  /** Throws OutputError when there is something else at `path`, or another process writes there. */
  static async open(
    path: string,
    container: Container,
    set: ImageSet,
    { threads, signal }: OpenControl = {},
  ): Promise<Sink> {
    const manifest = manifestOf(container.kind, set);
    if (await isFinished(path, manifest)) return FINISHED;
    const folder = partialFolder(path);
    await ensureFolder(folder);
    const lock = await lockSink(folder, signal);
    try {
      await removeTemporary(folder);
      const begun = await readManifest(join(folder, MANIFEST));
      if (begun !== undefined) refuseOther(folder, begun, manifest);
      const { O_RDWR, O_CREAT } = constants;
      const file = await attempt(path, () => open(join(folder, DATA), O_RDWR | O_CREAT));
      try {
        const { images = 0, bytes = 0 } = begun ?? {};
        const { size } = await attempt(path, () => file.stat());
        // Less than was safe: somebody else cut it.
        const whole = size >= bytes && bytes > 0;
        const sink = new FileSink(
          path,
          container,
          set,
          file,
          lock,
          whole ? images : 0,
          whole ? bytes : 0,
          threads,
        );
        await sink.begin();
        return sink;
      } catch (error) {
        await file.close().catch(() => {});
        throw error;
      }
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  get missing(): readonly IndexRange[] {
    const { startIndex, count } = this.set;
    return this.images < count ? [{ start: startIndex + this.images, count: count - this.images }] : [];
  }

  async write(images: IndexedImages): Promise<void> {
    const data = await this.container.encode(images, this.threads);
    await this.lock.requireHeld();
    await this.append(data);
    this.images += images.shape[0];
    if (performance.now() - this.lastCommit > COMMIT_INTERVAL) await this.commit();
  }

  async finish(): Promise<void> {
    await this.commit();
    const end = this.bytes;
    try {
      for await (const chunk of this.container.tail(this.set, this.file, end)) await this.append(chunk);
      await attempt(this.path, () => syncFile(this.file));
    } catch (error) {
      // What comes after the images is written anew; suspend() must not note it as a part of them.
      this.bytes = end;
      throw error;
    }
    await attempt(this.path, () => this.file.close());
    const folder = partialFolder(this.path);
    // The manifest first: the file in its place with its manifest beside it is what finished means.
    const aside = join(folder, `finished-${MANIFEST}`);
    await writeFileAtomic(aside, [this.manifest()]);
    await attempt(this.path, () => rename(aside, manifestPath(this.path)));
    await attempt(this.path, () => rename(join(folder, DATA), this.path));
    await attempt(this.path, () => syncFolder(dirname(this.path)));
    await this.lock.release();
    await attempt(folder, () => rm(folder, { recursive: true, force: true }));
  }

  async suspend(): Promise<void> {
    try {
      await this.commit();
    } finally {
      await this.file.close().catch(() => {});
      await this.lock.release();
    }
  }

  private async begin(): Promise<void> {
    await attempt(this.path, () => this.file.truncate(this.bytes));
    if (this.bytes > 0) return;
    await this.append(this.container.head(this.set));
    await this.commit();
  }

  private async append(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const { bytesWritten } = await attempt(this.path, () =>
        this.file.write(data, done, data.length - done, this.bytes + done),
      );
      done += bytesWritten;
    }
    this.bytes += data.length;
  }

  /** Everything so far is safe. */
  private async commit(): Promise<void> {
    await this.lock.requireHeld();
    await attempt(this.path, () => syncFile(this.file, 'datasync'));
    await writeFileAtomic(join(partialFolder(this.path), MANIFEST), [this.manifest()]);
    this.lastCommit = performance.now();
  }

  private manifest(): string {
    const { container, set, images, bytes } = this;
    return manifestText({ ...manifestOf(container.kind, set), images, bytes });
  }
}

const MANIFEST = 'manifest.json';
const DATA = 'data';
const partialFolder = (path: string): string => `${path}.partial`;
const manifestPath = (path: string): string => `${path}.${MANIFEST}`;

const FINISHED: Sink = {
  missing: [],
  write: async () => {},
  finish: async () => {},
  suspend: async () => {},
};

/** Whether the whole set is at `path`. Throws OutputError when something else is. */
async function isFinished(path: string, wanted: Manifest): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return false;
  const fail = (message: string): never => {
    throw new OutputError(`${path} ${message}; remove it or choose another name`, { path });
  };
  if (found.isDirectory()) return fail('is a folder');
  const manifest = await readManifest(manifestPath(path));
  if (manifest === undefined)
    return fail(`is there already, without a ${manifestPath(path)} that tells its images`);
  refuseOther(path, manifest, wanted);
  if (found.size !== manifest.bytes)
    return fail(`has ${found.size} bytes where ${manifest.bytes} were written`);
  // Left by a kill right at the end.
  const folder = partialFolder(path);
  await attempt(folder, () => rm(folder, { recursive: true, force: true }));
  return true;
}
