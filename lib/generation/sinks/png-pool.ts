/**
 * PNG files from threads of their own, as many as there are cores. A task takes dozens of images and does all of its work
 * in place: by promises a file takes five trips to libuv's threads, which cost more than encoding and writing do.
 */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { OutputError } from '../../errors.js';
import type { ImageBatch } from '../../native.js';
import type { IndexedImages } from '../stream.js';
import type { Encoded, Placing, WriteFault } from './png-worker.js';

/** More threads than a fast GPU's images keep busy. */
const MOST_THREADS = 16;
/** Images of a task: enough that handing them over costs nothing, few enough that all threads end together. */
const MOST_IMAGES = 32;
const TASK_BYTES = 2 ** 20;
/** Milliseconds after which an idle thread ends. */
const IDLE = 1000;
/** The tests run from the TypeScript sources, which a worker cannot load. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? '../../../dist/lib/generation/sinks/png-worker.js' : './png-worker.js',
  import.meta.url,
);

let pool: Piscina | undefined;

/** The images as PNG files, in order. */
export async function encodePngs(images: ImageBatch): Promise<Uint8Array[]> {
  const parts = await runAll<ImageBatch, Encoded>('encode', slices({ ...images, startIndex: 0 }));
  return parts.flatMap(({ bytes, lengths }) => {
    let at = 0;
    return lengths.map((length) => {
      at += length;
      return bytes.subarray(at - length, at);
    });
  });
}

/**
 * Writes the images to `folder` under their names, each file whole or not at all; syncFiles() must follow. Throws
 * OutputError, once nothing is being written any more.
 */
export async function placePngs(images: IndexedImages, folder: string): Promise<void> {
  const placings = Array.from(slices(images), (slice) => ({ images: slice, folder }));
  for (const failed of await runAll<Placing, WriteFault | undefined>('place', placings)) {
    if (failed !== undefined) throw new OutputError(failed.fault, { path: failed.path });
  }
}

/** Calls a function of png-worker.ts on each task; waits for all, also where one fails. */
async function runAll<Task, Result>(name: string, tasks: Iterable<Task>): Promise<Result[]> {
  pool ??= new Piscina({
    filename: WORKER.href,
    minThreads: 0,
    maxThreads: Math.min(availableParallelism(), MOST_THREADS),
    idleTimeout: IDLE,
    // Nothing of the process's own options, such as a loader, is meant for it.
    execArgv: [],
  });
  const ends = await Promise.allSettled(Array.from(tasks, (task) => pool?.run(task, { name })));
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value as Result;
  });
}

/** Copies: sending a part of an array to a thread would send the whole. */
function* slices({ data, shape, startIndex }: IndexedImages): Generator<IndexedImages> {
  const [count, ...rest] = shape;
  const size = data.length / count;
  const most = Math.max(1, Math.min(MOST_IMAGES, Math.floor(TASK_BYTES / size)));
  for (let first = 0; first < count; first += most) {
    const length = Math.min(most, count - first);
    yield {
      data: data.slice(first * size, (first + length) * size),
      shape: [length, ...rest],
      startIndex: startIndex + first,
    };
  }
}
