/**
 * Reads one Parquet file, in a worker of its own: decoding keeps a core busy for long, and a file made with bad intent
 * can make the decoder loop or take all memory, which must not be the end of the process.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { shownName } from './entry.js';
import { type Columns, chooseColumns, type ImageColumn } from './parquet-columns.js';
import { asLabel } from './sample-label.js';

/** Bytes of images sent in one message, at least one image. */
const BLOCK_BYTES = 2 ** 25;
/** Largest row group, by the sizes of its image column. */
const MAX_GROUP_BYTES = 2 ** 31;

/** What is asked of the worker: to describe the file, or for rows of a row group. */
export type Request = { rowsOf: number; start: number } | 'describe';

export interface Description {
  /** Rows in each row group. */
  groups: number[];
}

/** Rows from the start that was asked for on; the images' bytes one after the other. */
export interface Block {
  bytes: Uint8Array<ArrayBuffer>;
  rows: { byteLength: number; label?: number | string | undefined; fault?: string | undefined }[];
}

export type Answer = { result: Description | Block } | { fault: string };

const { path } = workerData as { path: string };

interface OpenFile {
  file: Awaited<ReturnType<typeof asyncBufferFromFile>>;
  metadata: FileMetaData;
  columns: Columns;
}

let opened: Promise<OpenFile> | undefined;
let current: { group: number; rows: Record<string, unknown>[] } | undefined;

async function open(): Promise<OpenFile> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file, { geoparquet: false });
  return { file, metadata, columns: chooseColumns(metadata) };
}

async function answer(request: Request): Promise<Description | Block> {
  opened ??= open();
  const { metadata } = await opened;
  if (request === 'describe') return { groups: metadata.row_groups.map((group) => Number(group.num_rows)) };
  return blockOf(await rowsOf(await opened, request.rowsOf), request.start, (await opened).columns);
}

async function rowsOf(
  { file, metadata, columns }: OpenFile,
  group: number,
): Promise<Record<string, unknown>[]> {
  if (current?.group === group) return current.rows;
  current = undefined;
  const names = [columns.image.name, ...(columns.label === undefined ? [] : [columns.label.name])];
  const rowGroup = metadata.row_groups[group];
  if (rowGroup === undefined) throw new Error(`there is no row group ${group}`);
  for (const { meta_data } of rowGroup.columns) {
    if (!names.includes(meta_data?.path_in_schema[0] ?? '')) continue;
    const bytes = Math.max(
      Number(meta_data?.total_uncompressed_size),
      Number(meta_data?.total_compressed_size),
    );
    if (!(bytes <= MAX_GROUP_BYTES))
      throw new Error(`row group ${group} has more than 2 GiB; write smaller ones`);
    if (Number(meta_data?.num_values) !== Number(rowGroup.num_rows)) {
      throw new Error(`the columns of row group ${group} differ in length`);
    }
  }
  const rowStart = metadata.row_groups
    .slice(0, group)
    .reduce((sum, { num_rows }) => sum + Number(num_rows), 0);
  const rowEnd = rowStart + Number(rowGroup.num_rows);
  const rows = await parquetReadObjects({
    file,
    metadata,
    columns: names,
    rowStart,
    rowEnd,
    compressors,
    utf8: false,
  });
  current = { group, rows };
  return rows;
}

function blockOf(rows: readonly Record<string, unknown>[], start: number, { image, label }: Columns): Block {
  const parts: Uint8Array[] = [];
  const block: Block['rows'] = [];
  let bytes = 0;
  for (const row of rows.slice(start)) {
    const content = contentOf(row[image.name], image);
    const size = typeof content === 'string' ? 0 : content.length;
    if (block.length > 0 && bytes + size > BLOCK_BYTES) break;
    bytes += size;
    if (typeof content !== 'string') parts.push(content);
    const fault = typeof content === 'string' ? content : undefined;
    block.push({ byteLength: size, label: label && labelOf(row[label.name], label.names), fault });
  }
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return { bytes: joined, rows: block };
}

/** The image file in a cell, or in words why there is none. */
function contentOf(cell: unknown, { isStruct }: ImageColumn): Uint8Array | string {
  const { bytes, path } = (isStruct ? (cell ?? {}) : { bytes: cell }) as { bytes?: unknown; path?: unknown };
  if (bytes instanceof Uint8Array) return bytes;
  const text = path instanceof Uint8Array ? Buffer.from(path).toString('utf8') : path;
  return typeof text === 'string'
    ? `it refers to a file that is not in the table: ${shownName(text)}`
    : 'its cell is empty';
}

function labelOf(cell: unknown, names: readonly string[] | undefined): number | string | undefined {
  const label = asLabel(cell instanceof Uint8Array ? Buffer.from(cell).toString('utf8') : cell);
  return (typeof label === 'number' ? names?.[label] : undefined) ?? label;
}

parentPort?.on('message', (request: Request) => {
  answer(request).then(
    (result) => {
      const transfer = 'bytes' in result ? [result.bytes.buffer] : [];
      parentPort?.postMessage({ result } satisfies Answer, transfer);
    },
    (error: unknown) => parentPort?.postMessage({ fault: inWords(error) } satisfies Answer),
  );
});

/** hyparquet checks much, but not all: what JavaScript itself then says helps nobody. */
function inWords(error: unknown): string {
  const { name, message } = error as Error;
  const isSaid = name === 'Error' && !/undefined|NaN/.test(message);
  return isSaid ? message.replace(/\s+/g, ' ') : 'its data are damaged';
}
