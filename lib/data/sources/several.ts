/** Several files of one kind, one after the other, as one source. */
import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import type { ImageSource, ReadOptions, SourceEntry } from '../source.js';

/** A source whose entries can be counted at some cost, when their number is not known. */
export interface CountableSource extends ImageSource {
  countEntries?(signal: AbortSignal | undefined): Promise<number>;
}

/** A file's source with the name that it has for the user. */
export interface Part {
  name: string;
  source: CountableSource;
}

export function severalSources(path: string, parts: readonly Part[]): ImageSource {
  const counts = parts.map(({ source }) => source.count);
  const hash = createHash('sha256');
  for (const { name, source } of parts) hash.update(`${JSON.stringify(name)} ${source.fingerprint}\n`);
  return {
    kind:
      parts.find(({ source }) => source.kind === 'WebDataset')?.source.kind ??
      parts[0]?.source.kind ??
      'files',
    path,
    count: counts.includes(undefined)
      ? undefined
      : counts.reduce((sum: number, count) => sum + (count ?? 0), 0),
    fingerprint: hash.digest('hex'),
    skipped: parts.flatMap(({ name, source }) =>
      source.skipped.map((one) => ({ ...one, path: join(dirname(name), one.path) })),
    ),
    entries: (options) => read(parts, options),
  };
}

async function* read(
  parts: readonly Part[],
  { from = 0, signal }: ReadOptions = {},
): AsyncGenerator<SourceEntry> {
  let before = 0;
  for (const { name, source } of parts) {
    // Parts that lie before the start are counted at most, never read.
    if (from > before) {
      const count = source.count ?? (await source.countEntries?.(signal));
      if (count !== undefined && before + count <= from) {
        before += count;
        continue;
      }
    }
    let next = Math.max(0, from - before);
    for await (const entry of source.entries({ from: next, signal })) {
      next = entry.index + 1;
      const index = before + entry.index;
      yield entry.form === 'skipped'
        ? { ...entry, index, path: inside(name, entry.path) }
        : { ...entry, index, name: inside(name, entry.name) };
    }
    before += next;
  }
}

/** Rows of a file are named "file[17]" already; what lies in an archive goes by the archive's name, too. */
function inside(name: string, entryName: string): string {
  const file = basename(name);
  return entryName.startsWith(`${file}[`) ? `${name}${entryName.slice(file.length)}` : `${name}/${entryName}`;
}
