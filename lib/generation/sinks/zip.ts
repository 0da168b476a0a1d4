/**
 * A zip archive of PNG files, stored: they do not get smaller, and stored they can be read at any place. Not by yazl, which keeps
 * the bytes of all files, goes through all of them for each new one, and cannot go on with an archive.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { Container } from './file-sink.js';
import { encodePngs } from './png-pool.js';
import { imageName } from './sink.js';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const LOCAL_LENGTH = 30;
const CENTRAL_LENGTH = 46;
/** Format versions that a reader must know: 2.0, and 4.5 for zip64. */
const VERSION = 20;
const VERSION_64 = 45;
const UNIX = 3 << 8;
/** 1 January 1980, the same for every run. */
const DATE = 0x21;
const MODE = 0o100644;
/** From these on a number is in the zip64 fields. */
const MOST_16 = 0xffff;
const MOST_32 = 0xffffffff;
/** Bytes read and written at a time. */
const PIECE = 2 ** 20;

interface Entry {
  name: string;
  crc: number;
  size: number;
}

export const zip: Container = {
  kind: 'zip',
  head: () => new Uint8Array(0),
  async encode(images, threads) {
    const pngs = await encodePngs(images, threads);
    return Buffer.concat(
      pngs.flatMap((png, i) => [
        localHeader({ name: imageName(images.startIndex + i), crc: crc32(png), size: png.length }),
        png,
      ]),
    );
  },
  async *tail({ count }, file, end) {
    let pieces: Buffer[] = [];
    let [gathered, length] = [0, 0];
    for await (const [entry, offset] of entries(file, end)) {
      const record = centralRecord(entry, offset);
      pieces.push(record);
      gathered += record.length;
      length += record.length;
      if (gathered < PIECE) continue;
      yield Buffer.concat(pieces);
      pieces = [];
      gathered = 0;
    }
    yield Buffer.concat([...pieces, endRecords(count, length, end)]);
  },
};

function localHeader({ name, crc, size }: Entry): Buffer {
  const header = Buffer.alloc(LOCAL_LENGTH + name.length);
  header.writeUInt32LE(LOCAL, 0);
  writeCommon(header, 4, VERSION, { name, crc, size });
  header.write(name, LOCAL_LENGTH, 'latin1');
  return header;
}

function centralRecord(entry: Entry, offset: number): Buffer {
  const far = offset >= MOST_32;
  const { name } = entry;
  const record = Buffer.alloc(CENTRAL_LENGTH + name.length + (far ? 12 : 0));
  record.writeUInt32LE(CENTRAL, 0);
  record.writeUInt16LE(UNIX | VERSION_64, 4);
  writeCommon(record, 6, far ? VERSION_64 : VERSION, entry);
  record.writeUInt32LE((MODE << 16) >>> 0, 38);
  record.writeUInt32LE(far ? MOST_32 : offset, 42);
  record.write(name, CENTRAL_LENGTH, 'latin1');
  if (far) {
    const extra = CENTRAL_LENGTH + name.length;
    record.writeUInt16LE(12, 30);
    record.writeUInt16LE(1, extra);
    record.writeUInt16LE(8, extra + 2);
    record.writeBigUInt64LE(BigInt(offset), extra + 4);
  }
  return record;
}

/** The fields from the version on that both kinds of headers have. */
function writeCommon(header: Buffer, at: number, version: number, { name, crc, size }: Entry): void {
  header.writeUInt16LE(version, at);
  header.writeUInt16LE(DATE, at + 8);
  header.writeUInt32LE(crc, at + 10);
  header.writeUInt32LE(size, at + 14);
  header.writeUInt32LE(size, at + 18);
  header.writeUInt16LE(name.length, at + 22);
}

function endRecords(count: number, length: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  for (const at of [8, 10]) end.writeUInt16LE(Math.min(count, MOST_16), at);
  end.writeUInt32LE(Math.min(length, MOST_32), 12);
  end.writeUInt32LE(Math.min(offset, MOST_32), 16);
  if (count < MOST_16 && length < MOST_32 && offset < MOST_32) return end;
  const far = Buffer.alloc(56 + 20);
  far.writeUInt32LE(END_64, 0);
  far.writeBigUInt64LE(44n, 4);
  far.writeUInt16LE(UNIX | VERSION_64, 12);
  far.writeUInt16LE(VERSION_64, 14);
  for (const at of [24, 32]) far.writeBigUInt64LE(BigInt(count), at);
  far.writeBigUInt64LE(BigInt(length), 40);
  far.writeBigUInt64LE(BigInt(offset), 48);
  far.writeUInt32LE(LOCATOR_64, 56);
  far.writeBigUInt64LE(BigInt(offset + length), 64);
  far.writeUInt32LE(1, 72);
  return Buffer.concat([far, end]);
}

/**
 * Every file in the archive so far with its offset, read back from the headers before them: nothing need be remembered, however
 * many there are, and an archive that was gone on with ends like an unbroken one.
 */
async function* entries(file: FileHandle, end: number): AsyncGenerator<[Entry, number]> {
  let piece = Buffer.alloc(0);
  let pieceAt = 0;
  const read = async (at: number, length: number): Promise<Buffer> => {
    if (at < pieceAt || at + length > pieceAt + piece.length) {
      piece = Buffer.alloc(Math.max(length, Math.min(PIECE, end - at)));
      pieceAt = at;
      const { bytesRead } = await file.read(piece, 0, piece.length, at);
      if (bytesRead < length) throw new Error(`the archive ends at ${at + bytesRead}, within a header`);
      piece = piece.subarray(0, bytesRead);
    }
    return piece.subarray(at - pieceAt, at - pieceAt + length);
  };
  for (let at = 0; at < end; ) {
    const header = await read(at, LOCAL_LENGTH);
    if (header.readUInt32LE(0) !== LOCAL) throw new Error(`there is no file header at ${at} in the archive`);
    const [crc, size, nameLength] = [
      header.readUInt32LE(14),
      header.readUInt32LE(18),
      header.readUInt16LE(26),
    ];
    const name = (await read(at + LOCAL_LENGTH, nameLength)).toString('latin1');
    yield [{ name, crc, size }, at];
    at += LOCAL_LENGTH + nameLength + size;
  }
}
