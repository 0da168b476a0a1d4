/** Images in a batch file of the binary version of CIFAR-10 or CIFAR-100. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ImageSource, SourceEntry } from '../source.js';
import { openReader } from './byte-reader.js';
import {
  CIFAR_KINDS,
  CIFAR_PIXEL_BYTES,
  CIFAR_SIDE,
  type CifarKind,
  cifarRecordBytes,
} from './cifar-records.js';
import { skippedEntry } from './entry.js';
import { explained, Fault } from './fault.js';
import { type FileFacts, fileFacts, fingerprintOf } from './fingerprint.js';
import type { FileFormat } from './format.js';
import { type RecordFile, readRecords } from './records.js';

/** Where the names of the classes are, in the order of their numbers. */
const NAME_FILES: Record<CifarKind['name'], string> = {
  'CIFAR-10': 'batches.meta.txt',
  'CIFAR-100': 'fine_label_names.txt',
};
const MAX_NAMES_BYTES = 2 ** 16;
/** Records whose labels are looked at to tell whether a file is what its size says. */
const RECORDS_LOOKED_AT = 64;

export async function openCifar(
  path: string,
  { gzipped, contentBytes }: FileFormat,
  signal: AbortSignal | undefined,
): Promise<ImageSource> {
  const facts = await fileFacts(path);
  const kind = await explained(path, signal, () => kindOf(path, gzipped, contentBytes));
  const { names, files } = await classNames(dirname(path), kind);
  const file = basename(path);
  const recordBytes = cifarRecordBytes(kind);
  const records: RecordFile = {
    path,
    gzipped,
    headerBytes: 0,
    recordBytes,
    count: contentBytes / recordBytes,
    item: (record, index) => toEntry(record, { index, name: `${file}[${index}]` }, kind, names),
  };
  return {
    kind: kind.name,
    path,
    count: records.count,
    fingerprint: fingerprintOf(kind.name, [facts, ...files]),
    skipped: [],
    entries: (read) => readRecords(records, read),
  };
}

/** The kind that both the size and the labels of the first records agree with. */
async function kindOf(path: string, gzipped: boolean, contentBytes: number): Promise<CifarKind> {
  for (const kind of CIFAR_KINDS) {
    const recordBytes = cifarRecordBytes(kind);
    if (contentBytes % recordBytes !== 0) continue;
    const reader = await openReader(path, gzipped);
    try {
      const looked = Math.min(RECORDS_LOOKED_AT, contentBytes / recordBytes);
      const start = await reader.take(looked * recordBytes);
      const records = Array.from({ length: looked }, (_, i) => start?.subarray(i * recordBytes) ?? []);
      if (start !== undefined && records.every((record) => labelFault(record, kind) === undefined))
        return kind;
    } finally {
      await reader.close();
    }
  }
  throw new Fault('its size is that of CIFAR batches, its labels are not');
}

function labelFault(record: ArrayLike<number>, { name, classes }: CifarKind): string | undefined {
  const at = classes.findIndex((count, i) => (record[i] ?? 0) >= count);
  return at < 0 ? undefined : `its label, ${record[at]}, is none of ${name}'s ${classes[at]}`;
}

function toEntry(
  record: Uint8Array,
  head: { index: number; name: string },
  kind: CifarKind,
  names: readonly string[] | undefined,
): SourceEntry {
  const fault = labelFault(record, kind);
  if (fault !== undefined) return skippedEntry(head, fault);
  const labels = kind.classes.length;
  const label = record[labels - 1] as number;
  const data = interleaved(record.subarray(labels));
  const size = { width: CIFAR_SIDE, height: CIFAR_SIDE, channels: 3 } as const;
  return { form: 'pixels', ...head, label: names?.[label] ?? label, data, ...size };
}

/** From a plane of each channel to the channels of each pixel. */
function interleaved(planes: Uint8Array): Uint8Array {
  const pixels = new Uint8Array(CIFAR_PIXEL_BYTES);
  const area = CIFAR_PIXEL_BYTES / 3;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = planes[c * area + i] as number;
  }
  return pixels;
}

/** Where the names of the classes may be for a batch of this name. */
export function cifarNameFiles(name: string): string[] {
  return Object.values(NAME_FILES).map((file) => join(dirname(name), file));
}

/** The names beside a batch; undefined when there are none, or not as many as there are classes. */
async function classNames(
  folder: string,
  { name, classes }: CifarKind,
): Promise<{ names?: string[]; files: FileFacts[] }> {
  const path = join(folder, NAME_FILES[name]);
  const facts = await fileFacts(path).catch(() => undefined);
  if (facts === undefined || facts.size > MAX_NAMES_BYTES) return { files: [] };
  const text = await readFile(path, 'utf8').catch(() => '');
  const names = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return names.length === classes.at(-1) ? { names, files: [facts] } : { files: [facts] };
}
