/**
 * A file's checksum inside the file itself: SHA-256 in hexadecimal of all its bytes, the checksum's own 64 characters
 * taken as zeros. So it covers everything: lengths, names, shapes, metadata, padding and the tensors' bytes.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

/** Metadata key of the checksum. */
export const CHECKSUM_KEY = 'checksum';
/** Stands for the checksum until it is known. */
export const UNSEALED = '0'.repeat(64);
/** Bytes hashed in one go: a few milliseconds, so that other work gets its turn. */
const PIECE = 2 ** 22;

/**
 * Puts the checksum into a file that is still in memory: a header with UNSEALED as its metadata's checksum, then the
 * tensors' bytes in order.
 */
export async function seal(header: Uint8Array, data: readonly Uint8Array[]): Promise<void> {
  const checksum = await digest([header, ...data]);
  if (!replaceChecksum(header, UNSEALED, checksum))
    throw new TypeError('the header has no place for a checksum');
}

/** Whether `checksum`, which stands in `header`, is that of these bytes. */
export async function isSealed(
  header: Uint8Array,
  data: readonly Uint8Array[],
  checksum: string,
): Promise<boolean> {
  const unsealed = Uint8Array.from(header);
  return replaceChecksum(unsealed, checksum, UNSEALED) && (await digest([unsealed, ...data])) === checksum;
}

async function digest(chunks: readonly Uint8Array[]): Promise<string> {
  const hash = createHash('sha256');
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PIECE) {
      hash.update(chunk.subarray(at, at + PIECE));
      await setImmediate();
    }
  }
  return hash.digest('hex');
}

/** In place; false when `from` does not stand there. Quotes inside other texts are escaped, so no text is mistaken. */
function replaceChecksum(header: Uint8Array, from: string, to: string): boolean {
  const key = `"${CHECKSUM_KEY}":"`;
  const bytes = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  const at = bytes.indexOf(`${key}${from}"`);
  if (at < 0) return false;
  bytes.write(to, at + key.length, 'latin1');
  return true;
}
