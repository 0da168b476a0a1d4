/**
 * A .npy file that is being written, so that a process that is killed at any moment can be followed by another one:
 * NAME.npy.partial holds the pixels, NAME.npy.journal says how far they go. A line of the journal is written only when
 * the pixels that it speaks of are on the disk; what lies behind the last whole line is written anew.
 */
import { type FileHandle, open, readFile, rename, rm, truncate } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { OutputError } from '../../errors.js';
import { ensureFolder, fileErrorReason, syncFile, syncFolder } from '../../files.js';
import type { Skipped } from '../folder.js';
import { NPY_HEADER_BYTES, npyHeader } from '../npy.js';
import type { Label, Rows } from '../rows.js';
import type { Shape } from './manifest.js';

/** Milliseconds and bytes between two lines of the journal. */
const COMMIT_INTERVAL = 500;
const COMMIT_BYTES = 2 ** 26;
/** Bytes that are written in one go. */
const WRITE_BYTES = 2 ** 20;

/** The first line: a journal of other data or settings is of no use. */
interface Head {
  key: string;
}

/** What a later line adds. */
interface Commit {
  next: number;
  rows: number;
  labels?: (number | string | null)[];
  names?: (string | null)[];
  skipped: Skipped[];
}

export class PartialFile {
  /** Index of the source's entry to go on from, and rows written so far. */
  next = 0;
  rows = 0;
  readonly labels: Label[] = [];
  readonly names: (string | undefined)[] = [];
  readonly skipped: Skipped[] = [];
  private readonly out: string;
  private readonly rowBytes: number;
  private readonly pixels: FileHandle;
  private readonly journal: FileHandle;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private written = 0;
  private committed = { rows: 0, skipped: 0, at: performance.now() };

  private constructor(out: string, rowBytes: number, pixels: FileHandle, journal: FileHandle) {
    this.out = out;
    this.rowBytes = rowBytes;
    this.pixels = pixels;
    this.journal = journal;
  }

  /**
   * Goes on with the partial file of `out` if its journal is of this `key`, or begins one. Nobody else may be writing
   * it. Throws OutputError.
   */
  static async open(out: string, key: string, rowBytes: number): Promise<PartialFile> {
    return attempt(out, async () => {
      await ensureFolder(dirname(out));
      const found = await readJournal(out, key, rowBytes);
      if (found === undefined) await removePartial(out);
      else await truncate(journalOf(out), found.bytes);
      const pixels = await open(partialOf(out), found === undefined ? 'w+' : 'r+');
      const journal = await open(journalOf(out), 'a').catch(async (error) => {
        await pixels.close();
        throw error;
      });
      const file = new PartialFile(out, rowBytes, pixels, journal);
      await file.begin(key, found?.commits).catch(async (error) => {
        await file.close();
        throw error;
      });
      return file;
    });
  }

  /** Appends rows; they are on the disk some time later. Throws OutputError. */
  async add({ next, pixels, labels, names, skipped }: Rows): Promise<void> {
    this.next = next;
    this.rows += labels.length;
    append(this.labels, labels);
    append(this.names, names);
    append(this.skipped, skipped);
    if (pixels.length > 0) this.waiting.push(pixels);
    this.waitingBytes += pixels.length;
    if (this.waitingBytes >= WRITE_BYTES) await this.flush();
    const behind = (this.rows - this.committed.rows) * this.rowBytes;
    const due = performance.now() - this.committed.at > COMMIT_INTERVAL;
    if (behind >= COMMIT_BYTES || due) await this.commit();
  }

  /** Makes sure that what was added need not be done again. Throws OutputError. */
  async commit(): Promise<void> {
    await this.flush();
    const { rows, skipped } = this.committed;
    const labels = this.labels.slice(rows).map((label) => label ?? null);
    const names = this.names.slice(rows).map((name) => name ?? null);
    const line: Commit = {
      next: this.next,
      rows: this.rows,
      ...(labels.some((label) => label !== null) && { labels }),
      ...(names.some((name) => name !== null) && { names }),
      skipped: this.skipped.slice(skipped),
    };
    await attempt(this.out, async () => {
      await syncFile(this.pixels, 'datasync');
      await this.journal.appendFile(`${JSON.stringify(line)}\n`);
      await syncFile(this.journal, 'datasync');
    });
    this.committed = { rows: this.rows, skipped: this.skipped.length, at: performance.now() };
  }

  /** Writes the header, after which the file is whole; it still has its partial name. Throws OutputError. */
  async seal(shape: Shape): Promise<{ path: string; bytes: number; modified: number }> {
    await this.commit();
    return attempt(this.out, async () => {
      await writeAll(this.pixels, [npyHeader(shape)], 0);
      await syncFile(this.pixels);
      const { size, mtimeMs } = await this.pixels.stat();
      return { path: partialOf(this.out), bytes: size, modified: mtimeMs };
    });
  }

  /** Gives the sealed file its name. Throws OutputError. */
  async publish(): Promise<void> {
    await attempt(this.out, async () => {
      await rename(partialOf(this.out), this.out);
      await syncFolder(dirname(this.out));
      await rm(journalOf(this.out), { force: true });
    });
  }

  async close(): Promise<void> {
    await this.pixels.close().catch(() => {});
    await this.journal.close().catch(() => {});
  }

  /** Takes over what is there, or begins the journal. */
  private async begin(key: string, commits: readonly Commit[] | undefined): Promise<void> {
    if (commits === undefined) {
      await this.journal.writeFile(`${JSON.stringify({ key } satisfies Head)}\n`);
      await syncFolder(dirname(this.out));
      return;
    }
    for (const { next, rows, labels, names, skipped } of commits) {
      for (let i = 0; i < rows - this.rows; i++) {
        this.labels.push(labels?.[i] ?? undefined);
        this.names.push(names?.[i] ?? undefined);
      }
      append(this.skipped, skipped);
      this.next = next;
      this.rows = rows;
    }
    this.written = this.rows * this.rowBytes;
    this.committed = { rows: this.rows, skipped: this.skipped.length, at: performance.now() };
    await this.pixels.truncate(NPY_HEADER_BYTES + this.written);
  }

  private async flush(): Promise<void> {
    const chunks = this.waiting.splice(0);
    await attempt(this.out, () => writeAll(this.pixels, chunks, NPY_HEADER_BYTES + this.written));
    this.written += this.waitingBytes;
    this.waitingBytes = 0;
  }
}

export const partialOf = (out: string): string => `${out}.partial`;
const journalOf = (out: string): string => `${out}.journal`;

/** Removes what is there of a file that was not finished. Throws what the file system throws. */
export async function removePartial(out: string): Promise<void> {
  await rm(partialOf(out), { force: true });
  await rm(journalOf(out), { force: true });
}

/** Not push(...more): each would be an argument on the stack, which some hundred thousand overflow. */
function append<T>(list: T[], more: readonly T[]): void {
  for (const item of more) list.push(item);
}

async function writeAll(handle: FileHandle, chunks: Uint8Array[], position: number): Promise<void> {
  const data = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
  for (let at = 0; at < data.length; ) {
    const { bytesWritten } = await handle.write(data, at, data.length - at, position + at);
    at += bytesWritten;
  }
}

/** The whole lines of a journal of this key, as far as their pixels are there, and the bytes they take. */
async function readJournal(out: string, key: string, rowBytes: number) {
  const text = await readFile(journalOf(out), 'utf8').catch(() => '');
  const size = await open(partialOf(out), 'r')
    .then((handle) => handle.stat().finally(() => handle.close()))
    .then(
      (found) => found.size,
      () => 0,
    );
  const lines = text.split('\n').slice(0, -1);
  const head = parse<Head>(lines[0]);
  if (head?.key !== key) return undefined;
  let bytes = Buffer.byteLength(`${lines[0]}\n`);
  const commits: Commit[] = [];
  for (const line of lines.slice(1)) {
    const commit = parse<Commit>(line);
    if (
      commit === undefined ||
      NPY_HEADER_BYTES + commit.rows * rowBytes > Math.max(size, NPY_HEADER_BYTES)
    ) {
      break;
    }
    commits.push(commit);
    bytes += Buffer.byteLength(`${line}\n`);
  }
  return commits.length === 0 ? undefined : { commits, bytes };
}

function parse<T>(line: string | undefined): T | undefined {
  try {
    return JSON.parse(line ?? '') as T;
  } catch {
    return undefined;
  }
}

async function attempt<T>(out: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof OutputError) throw error;
    const reason = fileErrorReason(error);
    const full = ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
    const remedy = full ? '; make room and give the command again: it goes on from where it was' : '';
    throw new OutputError(
      `cannot write ${basename(out)} in ${dirname(out)}: ${reason}${remedy}`,
      { path: out },
      { cause: error },
    );
  }
}
