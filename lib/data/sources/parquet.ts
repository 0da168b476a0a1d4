/** Images in a Parquet file, as the Hugging Face hub stores them; the reading itself is done by parquet-worker.ts. */
import { once } from 'node:events';
import { basename } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ImageSource, ReadOptions, SourceEntry } from '../source.js';
import { encodedEntry, MAX_FILE_BYTES, skippedEntry, TOO_LARGE } from './entry.js';
import { asDataError, explained, Fault } from './fault.js';
import { fileFacts, fingerprintOf } from './fingerprint.js';
import type { Answer, Block, Description, Request } from './parquet-worker.js';

/** Memory for JavaScript values in the worker; the bytes of images are not among them. */
const HEAP_MB = 1024;
/** More than a row group of the largest size takes on a slow disk: a decoder that is silent for so long is in a loop. */
const SILENCE_MS = 120_000;
/** The tests run from the TypeScript sources, which a worker cannot load. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts')
    ? '../../../dist/lib/data/sources/parquet-worker.js'
    : './parquet-worker.js',
  import.meta.url,
);

export async function openParquet(path: string, signal: AbortSignal | undefined): Promise<ImageSource> {
  const facts = await fileFacts(path);
  const groups = await explained(path, signal, async () => {
    const table = new Table(path, signal);
    try {
      return ((await table.ask('describe')) as Description).groups;
    } finally {
      await table.close();
    }
  });
  return {
    kind: 'Parquet',
    path,
    count: groups.reduce((sum, rows) => sum + rows, 0),
    fingerprint: fingerprintOf('Parquet', [facts]),
    skipped: [],
    entries: (options) => read(path, groups, options),
  };
}

async function* read(
  path: string,
  groups: readonly number[],
  { from = 0, signal }: ReadOptions = {},
): AsyncGenerator<SourceEntry> {
  const file = basename(path);
  let table: Table | undefined;
  try {
    table = new Table(path, signal);
    let first = 0;
    for (const [group, rows] of groups.entries()) {
      for (let row = Math.max(0, from - first); row < rows; ) {
        const block = (await table.ask({ rowsOf: group, start: row })) as Block;
        if (block.rows.length === 0) throw new Fault(`row group ${group} ends before its ${rows} rows`);
        let at = 0;
        for (const { byteLength, label, fault } of block.rows) {
          signal?.throwIfAborted();
          const index = first + row++;
          const head = { index, name: `${file}[${index}]`, label };
          const bytes = block.bytes.subarray(at, at + byteLength);
          at += byteLength;
          if (fault !== undefined) yield skippedEntry(head, fault);
          else yield byteLength > MAX_FILE_BYTES ? skippedEntry(head, TOO_LARGE) : encodedEntry(head, bytes);
        }
      }
      first += rows;
    }
  } catch (error) {
    throw asDataError(path, error, signal);
  } finally {
    await table?.close();
  }
}

/** A worker that has the file open. */
class Table {
  private readonly worker: Worker;
  private readonly failed: Promise<never>;

  constructor(
    path: string,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.worker = new Worker(WORKER, {
      workerData: { path },
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
      // Nothing of the process's own options, such as a loader, is meant for it.
      execArgv: [],
    });
    this.failed = once(this.worker, 'error').then(([error]) => {
      const { code, message } = error as NodeJS.ErrnoException;
      throw code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? new Fault('its rows need more memory than there is; it is damaged, or its row groups are too large')
        : new Fault(`the Parquet file cannot be read: ${message}`);
    });
    this.failed.catch(() => {});
    // Between questions it keeps no process alive: an iteration may be left without a word.
    this.worker.unref();
  }

  /** One question at a time. Throws Fault. */
  async ask(request: Request): Promise<Description | Block> {
    const limit = new AbortController();
    const silence = AbortSignal.timeout(SILENCE_MS);
    const stop = AbortSignal.any([
      limit.signal,
      silence,
      ...(this.signal === undefined ? [] : [this.signal]),
    ]);
    try {
      const answered = once(this.worker, 'message', { signal: stop });
      answered.catch(() => {});
      this.worker.ref();
      this.worker.postMessage(request);
      const [answer] = (await Promise.race([answered, this.failed])) as [Answer];
      if ('fault' in answer) throw new Fault(`the Parquet file cannot be read: ${answer.fault}`);
      return answer.result;
    } catch (error) {
      this.signal?.throwIfAborted();
      if (silence.aborted)
        throw new Fault(`the Parquet file cannot be read: nothing came of it in ${SILENCE_MS / 1000} s`);
      throw error;
    } finally {
      limit.abort();
      this.worker.unref();
    }
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }
}
