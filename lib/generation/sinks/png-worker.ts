/**
 * What the threads of png-pool.ts do, each function without leaving its thread. Both begin with a turn of the event loop: what the
 * encoder held for the images before is only then freed.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { OutputError } from '../../errors.js';
import { placeFileSync } from '../../files.js';
import type { ImageBatch } from '../../native.js';
import type { IndexedImages } from '../stream.js';
import { encodePng } from './png.js';
import { imageName } from './sink.js';

/** Files one after the other, and the bytes of each. */
export interface Encoded {
  bytes: Uint8Array;
  lengths: number[];
}

export async function encode(images: ImageBatch): Promise<Encoded> {
  await setImmediate();
  const files = Array.from({ length: images.shape[0] }, (_, i) => encodePng(images, i));
  // Not by Buffer.concat: small results of it share memory, all of which would be copied to the other thread.
  const bytes = new Uint8Array(files.reduce((sum, file) => sum + file.length, 0));
  let at = 0;
  for (const file of files) {
    bytes.set(file, at);
    at += file.length;
  }
  return { bytes, lengths: files.map((file) => file.length) };
}

export interface Placing {
  images: IndexedImages;
  /** The files go here, under the images' names. */
  folder: string;
}

/** Which file could not be written, and why: an error's class and details are lost between threads. */
export interface WriteFault {
  path: string;
  message: string;
  cause: unknown;
}

export async function place({ images, folder }: Placing): Promise<WriteFault | undefined> {
  await setImmediate();
  for (let i = 0; i < images.shape[0]; i++) {
    const path = join(folder, imageName(images.startIndex + i));
    const file = encodePng(images, i);
    try {
      placeFileSync(path, file);
    } catch (error) {
      if (error instanceof OutputError) return { path, message: error.message, cause: error.cause };
      throw error;
    }
  }
  return undefined;
}
