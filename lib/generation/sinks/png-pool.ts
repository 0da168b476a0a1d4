/**
 * PNG files from threads of their own, as many as there are cores. A task takes dozens of images and does all of its work
 * in place: by promises a file takes five trips to libuv's threads, which cost more than encoding and writing do.
 */
import { availableParallelism } from 'node:os';
import { FixedQueue, Piscina, type PiscinaTask } from 'piscina';
import { eachInParallel } from '../../data/parallel.js';
import { OutputError } from '../../errors.js';
import type { ImageBatch } from '../../native.js';
import { defaultThreads } from '../../threads.js';
import type { IndexedImages } from '../stream.js';
import type { Encoded, Placing, WriteFault } from './png-worker.js';

/** More threads than a fast GPU's images keep busy. */
const MOST_THREADS = 16;
/** Images of a task: enough that handing them over costs nothing, few enough that all threads end together. */
const MOST_IMAGES = 32;
const TASK_BYTES = 2 ** 20;
/** Milliseconds after which an idle thread ends: more than a batch takes to draw. */
const IDLE = 10_000;
/** The tests run from the TypeScript sources, which a worker cannot load. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? '../../../dist/lib/generation/sinks/png-worker.js' : './png-worker.js',
  import.meta.url,
);

type Slice = IndexedImages & { data: Uint8Array<ArrayBuffer> };
type RunOptions = NonNullable<Parameters<Piscina['run']>[1]>;

let pool: Piscina | undefined;

/** Knows the newest task: where no thread starts for it, Piscina throws and leaves it here, with a promise that nobody has. */
class Queue extends FixedQueue {
  private newest: PiscinaTask | undefined;

  override push(task: PiscinaTask): void {
    this.newest = task;
    super.push(task);
  }

  removeNewest(): void {
    if (this.newest !== undefined) this.remove(this.newest);
  }
}

let queue = new Queue();

/** The images as PNG files, in order, by `threads` of the pool's at most. */
export async function encodePngs(images: ImageBatch, threads?: number): Promise<Uint8Array[]> {
  const slices = [...cut({ ...images, startIndex: 0 })];
  const parts = await runAll<Encoded>(
    'encode',
    slices.map((slice) => [slice, slice.data.buffer]),
    threads,
  );
  return parts.flatMap(({ bytes, lengths }) => {
    let at = 0;
    return lengths.map((length) => {
      at += length;
      return bytes.subarray(at - length, at);
    });
  });
}

/**
 * Writes the images to `folder` under their names, each file whole or not at all, by `threads` of the pool's at most;
 * syncFiles() must follow. Throws OutputError, once nothing is being written any more.
 */
export async function placePngs(images: IndexedImages, folder: string, threads?: number): Promise<void> {
  const slices = [...cut(images)];
  const faults = await runAll<WriteFault | undefined>(
    'place',
    slices.map((slice) => [{ images: slice, folder } satisfies Placing, slice.data.buffer]),
    threads,
  );
  const fault = faults.find((fault) => fault !== undefined);
  if (fault !== undefined) throw new OutputError(fault.message, { path: fault.path }, { cause: fault.cause });
}

/** Calls a function of png-worker.ts on each task, whose memory goes with it; waits for all, also where one fails. */
async function runAll<Result>(
  name: string,
  tasks: readonly (readonly [task: unknown, memory: ArrayBuffer])[],
  most = MOST_THREADS,
): Promise<Result[]> {
  const threads = openPool();
  // Its tasks would wait for ever for threads that cannot start.
  let fail: (error: Error) => void = () => {};
  const broken = new Promise<never>((_, reject) => {
    fail = reject;
  });
  threads.on('error', fail);
  try {
    const results: Result[] = [];
    const done = eachInParallel(tasks.entries(), most, undefined, async ([i, [task, memory]]) => {
      results[i] = await begin<Result>(threads, task, { name, transferList: [memory] });
    });
    await Promise.race([done, broken]);
    return results;
  } catch (error) {
    // The next call begins anew.
    if (pool === threads) pool = undefined;
    await threads.destroy();
    throw error;
  } finally {
    threads.off('error', fail);
  }
}

/** Throws OutputError, and the task is not done, where no thread starts. */
function begin<Result>(threads: Piscina, task: unknown, options: RunOptions): Promise<Result> {
  try {
    return threads.run(task, options);
  } catch (error) {
    queue.removeNewest();
    const reason = (error as Error).message;
    throw new OutputError(`no thread starts that encodes PNG files: ${reason}`, {}, { cause: error });
  }
}

function openPool(): Piscina {
  if (pool !== undefined) return pool;
  queue = new Queue();
  pool = new Piscina({
    filename: WORKER.href,
    // Of a module without the function that is named, a thread makes code from text, which a process may forbid.
    name: 'encode',
    taskQueue: queue,
    minThreads: 0,
    maxThreads: Math.min(defaultThreads() || availableParallelism(), MOST_THREADS),
    idleTimeout: IDLE,
    // Nothing of the process's own options, such as a loader, is meant for it.
    execArgv: [],
  });
  // An idle thread that ends badly harms nobody; without a listener the event would end the process.
  pool.on('error', () => {});
  return pool;
}

/** Copies, each with memory of its own that can be handed over. */
function* cut({ data, shape, startIndex }: IndexedImages): Generator<Slice> {
  const [count, ...rest] = shape;
  const size = data.length / count;
  const most = Math.max(1, Math.min(MOST_IMAGES, Math.floor(TASK_BYTES / size)));
  for (let first = 0; first < count; first += most) {
    const length = Math.min(most, count - first);
    yield {
      data: new Uint8Array(data.subarray(first * size, (first + length) * size)),
      shape: [length, ...rest],
      startIndex: startIndex + first,
    };
  }
}
