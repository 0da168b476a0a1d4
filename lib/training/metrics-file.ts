import { readFile } from 'node:fs/promises';
import { OutputError } from '../errors.js';
import { fileErrorReason, GrowingFile, writeFileAtomic } from '../files.js';

/** A line of metrics.jsonl: a step and numbers under names. */
export type MetricsLine = { step: number } & Record<string, unknown>;

/** metrics.jsonl of a run. A line is written whole or not at all, and none is lost while the disk is full. */
export class MetricsFile {
  /** Lines of the run so far that stay. */
  readonly kept: readonly MetricsLine[];
  private readonly file: GrowingFile;
  private waiting = '';

  private constructor(path: string, kept: readonly MetricsLine[], size: number) {
    this.file = new GrowingFile(path, size);
    this.kept = kept;
  }

  /** Keeps the lines that `keep` says and cuts off the others. Throws OutputError. */
  static async open(path: string, keep: (line: MetricsLine) => boolean): Promise<MetricsFile> {
    const before = await read(path);
    if (before === undefined) return new MetricsFile(path, [], 0);
    const lines = before.split('\n').flatMap((text) => {
      const line = parseLine(text);
      return line !== undefined && keep(line) ? [{ text, line }] : [];
    });
    const after = lines.map(({ text }) => `${text}\n`).join('');
    if (after !== before) await writeFileAtomic(path, [after]);
    const kept = lines.map(({ line }) => line);
    return new MetricsFile(path, kept, Buffer.byteLength(after));
  }

  /** Throws OutputError; the lines then go with the next ones. */
  async append(lines: readonly MetricsLine[]): Promise<void> {
    this.waiting += lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    if (this.waiting === '') return;
    await this.file.append(Buffer.from(this.waiting));
    this.waiting = '';
  }
}

/** Undefined where there is no file. Throws OutputError. */
async function read(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new OutputError(`cannot read ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
  });
}

/** All whole lines of a metrics.jsonl, none where there is no file. Throws OutputError. */
export async function readLines(path: string): Promise<MetricsLine[]> {
  const text = (await read(path)) ?? '';
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

/** Undefined for a line that was cut while it was written. */
export function parseLine(text: string): MetricsLine | undefined {
  try {
    const line = JSON.parse(text) as MetricsLine | null;
    return typeof line?.step === 'number' ? line : undefined;
  } catch {
    return undefined;
  }
}
