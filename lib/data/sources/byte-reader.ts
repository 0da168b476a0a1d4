/** Exact counts of bytes from a file, plain or gzipped, read on with as little waiting as there can be. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { ByteQueue } from '../byte-queue.js';

export interface ByteReader {
  /** The next `count` bytes; undefined when the file ends before them. */
  take(count: number): Promise<Uint8Array | undefined>;
  /** Passes over `count` bytes; false when the file ends before them. */
  skip(count: number): Promise<boolean>;
  /** Whether no byte is left. */
  ended(): Promise<boolean>;
  close(): Promise<void>;
}

/** Bytes read in one go when less is asked for: many small images cost one wait. */
const WINDOW_BYTES = 2 ** 18;
/** Bytes read after a leap. */
const LEAP_BYTES = 2 ** 13;
/** Deflate makes at most 1,032 bytes of one. */
export const MAX_INFLATION = 1032;

/** Opens a file at its beginning. Throws what the file system throws; gzip faults have a code that begins with "Z_". */
export async function openReader(path: string, gzipped: boolean): Promise<ByteReader> {
  const file = await FileReader.open(path);
  if (!gzipped) return file;
  await file.close();
  return new GunzipReader(path, file.size * MAX_INFLATION);
}

interface Window {
  start: number;
  bytes: Uint8Array;
}

/** Reads from any place of a plain file, and from there on. */
export class FileReader implements ByteReader {
  /** The two last parts read: an archive's directory and its data are read in turn. */
  private windows: Window[] = [];
  position = 0;

  private constructor(
    private readonly handle: FileHandle,
    readonly size: number,
  ) {}

  static async open(path: string): Promise<FileReader> {
    const handle = await open(path, 'r');
    try {
      return new FileReader(handle, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async take(count: number): Promise<Uint8Array | undefined> {
    const bytes = await this.at(this.position, count);
    if (bytes !== undefined) this.position += count;
    return bytes;
  }

  /** `count` bytes from `position` on, in memory that nothing else uses; undefined when the file has fewer. */
  async at(position: number, count: number): Promise<Uint8Array | undefined> {
    if (position + count > this.size) return undefined;
    for (const { start, bytes } of this.windows) {
      const from = position - start;
      if (from >= 0 && from + count <= bytes.length) return bytes.slice(from, from + count);
    }
    if (count >= WINDOW_BYTES) return this.read(position, count);
    // The new part takes the place of the one that it goes on from, else of the older one. After a leap, as over the
    // content of an archive's member, only little is read: the next leap may follow.
    const follows = ({ start }: Window) => position >= start && position <= start + 2 * WINDOW_BYTES;
    const length = this.windows.some(follows) ? WINDOW_BYTES : Math.max(count, LEAP_BYTES);
    const bytes = await this.read(position, Math.min(length, this.size - position));
    if (bytes === undefined) return undefined;
    const kept = this.windows.find((window) => !follows(window));
    this.windows = [{ start: position, bytes }, ...(kept === undefined ? [] : [kept])];
    return bytes.slice(0, count);
  }

  async skip(count: number): Promise<boolean> {
    if (this.position + count > this.size) return false;
    this.position += count;
    return true;
  }

  async ended(): Promise<boolean> {
    return this.position >= this.size;
  }

  close(): Promise<void> {
    return this.handle.close();
  }

  /** Undefined when the file has become shorter since it was opened. */
  private async read(position: number, count: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = new Uint8Array(count);
    for (let filled = 0; filled < count; ) {
      const { bytesRead } = await this.handle.read(bytes, filled, count - filled, position + filled);
      if (bytesRead === 0) return undefined;
      filled += bytesRead;
    }
    return bytes;
  }
}

class GunzipReader implements ByteReader {
  private readonly gunzip: Gunzip = createGunzip({ chunkSize: WINDOW_BYTES });
  private readonly queue = new ByteQueue(this.gunzip);

  constructor(
    path: string,
    private bytesLeft: number,
  ) {
    // Errors reach the queue through the destroyed stream.
    pipeline(createReadStream(path, { highWaterMark: WINDOW_BYTES }), this.gunzip, () => {});
  }

  async take(count: number): Promise<Uint8Array | undefined> {
    // No memory for more than the file can hold.
    this.bytesLeft -= count;
    return this.bytesLeft < 0 ? undefined : this.queue.take(count);
  }

  async skip(count: number): Promise<boolean> {
    for (let left = count; left > 0; left -= WINDOW_BYTES) {
      if ((await this.take(Math.min(left, WINDOW_BYTES))) === undefined) return false;
    }
    return true;
  }

  ended(): Promise<boolean> {
    return this.queue.ended();
  }

  async close(): Promise<void> {
    this.gunzip.destroy();
  }
}
