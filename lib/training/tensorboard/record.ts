/**
 * TFRecord, the framing of event files: length (8 bytes), its checksum (4), the bytes, their checksum (4), all
 * little-endian. The checksum is CRC-32C, rotated and shifted so that checksums of data with checksums stay good.
 */
import { createReadStream } from 'node:fs';
import CRC32C from 'crc-32/crc32c.js';
import { ByteQueue } from '../../data/byte-queue.js';

const HEADER = 12;
const FOOTER = 4;
/** Longer ones are none of ours: a picture is much smaller. */
const LONGEST = 2 ** 30;

/** The record of `bytes`. */
export function encodeRecord(bytes: Uint8Array): Uint8Array {
  const record = Buffer.alloc(HEADER + bytes.length + FOOTER);
  record.writeBigUInt64LE(BigInt(bytes.length));
  record.writeUInt32LE(maskedChecksum(record.subarray(0, 8)), 8);
  record.set(bytes, HEADER);
  record.writeUInt32LE(maskedChecksum(bytes), HEADER + bytes.length);
  return record;
}

/**
 * The contents of a file's records, one in memory at a time. Ends at the end of the file or before the first record
 * that is cut off or damaged, for where the next one begins is not known then. Rejects as the file system does.
 */
export async function* readRecords(path: string): AsyncGenerator<Uint8Array, void, void> {
  const stream = createReadStream(path, { highWaterMark: 2 ** 18 });
  try {
    const queue = new ByteQueue(stream);
    for (;;) {
      const header = await queue.take(HEADER);
      if (header === undefined) return;
      const view = Buffer.from(header.buffer);
      const length = Number(view.readBigUInt64LE());
      if (view.readUInt32LE(8) !== maskedChecksum(header.subarray(0, 8)) || length > LONGEST) return;
      const bytes = await queue.take(length);
      const footer = await queue.take(FOOTER);
      if (bytes === undefined || footer === undefined) return;
      if (Buffer.from(footer.buffer).readUInt32LE() !== maskedChecksum(bytes)) return;
      yield bytes;
    }
  } finally {
    stream.destroy();
  }
}

function maskedChecksum(bytes: Uint8Array): number {
  const checksum = CRC32C.buf(bytes) >>> 0;
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}
