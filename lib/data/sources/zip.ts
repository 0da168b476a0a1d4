/** Images in a zip archive, in the order of its central directory; read where they lie, nothing is unpacked to the disk. */
import { constants } from 'node:fs';
import { promisify } from 'node:util';
import { crc32, inflateRaw, inflateRawSync } from 'node:zlib';
import {
  type Entry,
  fromRandomAccessReaderPromise,
  getFileNameLowLevel,
  RandomAccessReader,
  type ZipFile,
} from 'yauzl';
import { imageKind } from '../kind.js';
import type { ImageSource, ReadOptions, SourceEntry } from '../source.js';
import { FileReader } from './byte-reader.js';
import {
  encodedEntry,
  folderLabel,
  isHidden,
  MAX_FILE_BYTES,
  nameFault,
  noImageReason,
  shownName,
  skippedEntry,
  TOO_LARGE,
} from './entry.js';
import { asDataError, explained, Fault } from './fault.js';
import { fileFacts, fingerprintOf } from './fingerprint.js';
import { FORMAT_HEAD_BYTES, inflateStart } from './format.js';

const STORED = 0;
const DEFLATED = 8;
/** Entries up to this size are inflated at once: handing them to another thread would take longer. */
const SMALL_BYTES = 2 ** 16;
/** From this size on the beginning of an entry is looked at before the whole of it is read. */
const LARGE_BYTES = 2 ** 20;
/** A local header before the name. */
const LOCAL_HEADER_BYTES = 30;
/** Entries whose places are kept at once to find overlaps: 32 bytes each. */
const MAX_ENTRIES = 2 ** 24;
const UNIX = 3;
const FILE_TYPES = new Map<number, string>([
  [constants.S_IFLNK, 'it is a symbolic link'],
  [constants.S_IFCHR, 'it is a device'],
  [constants.S_IFBLK, 'it is a device'],
  [constants.S_IFIFO, 'it is a named pipe'],
  [constants.S_IFSOCK, 'it is a socket'],
]);

const inflate = promisify<Uint8Array, { maxOutputLength: number }, Uint8Array>(inflateRaw);

/** Why an entry is skipped. */
class Unusable extends Error {}

export async function openZip(path: string, signal: AbortSignal | undefined): Promise<ImageSource> {
  const facts = await fileFacts(path);
  const count = await explained(path, signal, () => survey(path, signal));
  return {
    kind: 'zip',
    path,
    count,
    fingerprint: fingerprintOf('zip', [facts]),
    skipped: [],
    entries: (options) => read(path, options),
  };
}

/** Counts the entries. Throws Fault for archives whose entries overlap: that is how zip bombs are made. */
async function survey(path: string, signal: AbortSignal | undefined): Promise<number> {
  const starts: number[] = [];
  const ends: number[] = [];
  let count = 0;
  for await (const { entry, name } of directory(await FileReader.open(path), signal)) {
    if (starts.length === MAX_ENTRIES) throw new Fault(`it has more than ${MAX_ENTRIES} entries`);
    const start = entry.relativeOffsetOfLocalHeader;
    starts.push(start);
    ends.push(start + LOCAL_HEADER_BYTES + entry.compressedSize);
    if (!isSilent(name)) count++;
  }
  // Where no two overlap, each ends before the next begins, whichever belong together.
  const inOrder = Float64Array.from(ends).sort();
  Float64Array.from(starts)
    .sort()
    .forEach((start, i) => {
      if (i > 0 && start < (inOrder[i - 1] as number)) {
        throw new Fault('its entries overlap, as those of a zip bomb do');
      }
    });
  return count;
}

async function* read(path: string, { from = 0, signal }: ReadOptions = {}): AsyncGenerator<SourceEntry> {
  try {
    const file = await FileReader.open(path);
    let index = 0;
    for await (const { entry, name, zip } of directory(file, signal)) {
      if (isSilent(name)) continue;
      const head = { index: index++, name: shownName(name), label: folderLabel(name) };
      if (head.index < from) continue;
      try {
        yield encodedEntry(head, await content(zip, file, entry, name));
      } catch (error) {
        if (!(error instanceof Unusable)) throw error;
        yield skippedEntry(head, error.message);
      }
    }
  } catch (error) {
    throw asDataError(path, error, signal);
  }
}

/** Folders and what isHidden() says have no place among the entries. */
const isSilent = (name: string): boolean => name.endsWith('/') || isHidden(name);

/** Reads the central directory of `file` step by step, and closes the file at the end. */
async function* directory(
  file: FileReader,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ zip: ZipFile; entry: Entry; name: string }> {
  const reader = new Reader(file);
  try {
    const failed = new Promise<never>((_, reject) => reader.once('error', reject));
    failed.catch(() => {});
    const zip = await Promise.race([
      // Names are decoded, and sizes checked, one by one: here a single odd one would be the end of the archive.
      fromRandomAccessReaderPromise(reader, file.size, {
        decodeStrings: false,
        validateEntrySizes: false,
        autoClose: false,
      }),
      failed,
    ]);
    for await (const entry of zip.eachEntry()) {
      signal?.throwIfAborted();
      const { generalPurposeBitFlag, fileNameRaw, extraFields } = entry;
      yield { zip, entry, name: getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, false) };
    }
    await checkEnd(file, zip);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    if (error instanceof Fault || signal?.aborted || code !== undefined) throw error;
    if (/End of central directory/.test(message)) throw new Fault('its end is missing; it is cut short');
    throw new Fault(`the zip archive cannot be read: ${message.replace(/\s+/g, ' ')}`);
  } finally {
    await file.close();
  }
}

/** Archives of more than 65,535 entries by old programs count them modulo 65,536: the others must not be lost. */
async function checkEnd(file: FileReader, zip: ZipFile): Promise<void> {
  const next = await file.at(Number(zip.readEntryCursor), 4);
  if (next !== undefined && Buffer.from(next).toString('latin1') === 'PK\x01\x02') {
    throw new Fault(`it has more entries than the ${zip.entryCount} that it counts; repack it`);
  }
}

/** yauzl's view of a file. */
class Reader extends RandomAccessReader {
  constructor(private readonly file: FileReader) {
    super();
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.file
      .at(position, length)
      .then((bytes) => {
        if (bytes !== undefined) buffer.set(bytes, offset);
        callback(null, bytes?.length ?? 0);
      })
      // Also what the callback throws: from here it would be nobody's.
      .catch((error) => this.emit('error', error));
  }

  override close(callback: (error: Error | null) => void): void {
    callback(null);
  }
}

/** The content of an entry, checked against what the directory says of it. Throws Unusable. */
async function content(zip: ZipFile, file: FileReader, entry: Entry, name: string): Promise<Uint8Array> {
  const { compressedSize, uncompressedSize, compressionMethod } = entry;
  const fault = nameFault(name) ?? typeFault(entry);
  if (fault !== undefined) throw new Unusable(fault);
  if (entry.isEncrypted()) throw new Unusable('it is encrypted');
  if (compressionMethod !== STORED && compressionMethod !== DEFLATED) {
    throw new Unusable(`its compression method, ${compressionMethod}, is not supported`);
  }
  if (Math.max(uncompressedSize, compressedSize) > MAX_FILE_BYTES) throw new Unusable(TOO_LARGE);
  if (uncompressedSize === 0) throw new Unusable('it is empty');
  const { fileDataStart } = await zip
    .readLocalFileHeaderPromise(entry, { minimal: true })
    .catch((error: Error) => {
      throw new Unusable(`it is damaged: ${error.message}`);
    });
  const bytes = async (count: number): Promise<Uint8Array> => {
    const found = await file.at(fileDataStart, count);
    if (found === undefined) throw new Unusable('it is cut short');
    return found;
  };
  if (uncompressedSize >= LARGE_BYTES) {
    const start = await bytes(Math.min(compressedSize, FORMAT_HEAD_BYTES));
    const head = compressionMethod === STORED ? start : await attempt(() => inflateStart(start));
    if (imageKind(head) === undefined) throw new Unusable(noImageReason(head, uncompressedSize));
  }
  const compressed = await bytes(compressedSize);
  const maxOutputLength = uncompressedSize;
  const data =
    compressionMethod === STORED
      ? compressed
      : await attempt(() =>
          uncompressedSize <= SMALL_BYTES && compressedSize <= SMALL_BYTES
            ? inflateRawSync(compressed, { maxOutputLength })
            : inflate(compressed, { maxOutputLength }),
        );
  if (data.length !== uncompressedSize) {
    throw new Unusable(`it is damaged: it has ${data.length} bytes, not ${uncompressedSize}`);
  }
  if (crc32(data) !== entry.crc32) throw new Unusable('it is damaged: its checksum does not agree');
  return data;
}

function typeFault({ versionMadeBy, externalFileAttributes }: Entry): string | undefined {
  if (versionMadeBy >>> 8 !== UNIX) return undefined;
  return FILE_TYPES.get((externalFileAttributes >>> 16) & constants.S_IFMT);
}

async function attempt(inflating: () => Uint8Array | Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await inflating();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ERR_BUFFER_TOO_LARGE'
        ? 'it inflates to more than it announces'
        : 'its data cannot be inflated';
    throw new Unusable(`it is damaged: ${why}`);
  }
}
