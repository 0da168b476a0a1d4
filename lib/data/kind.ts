/** Image files are told by their first bytes, not by their names. */

export const IMAGE_KINDS = ['PNG', 'JPEG', 'WebP', 'GIF', 'AVIF', 'TIFF'] as const;
export type ImageKind = (typeof IMAGE_KINDS)[number];

/** First bytes of a file that imageKind() wants to see, when the file has so many. */
export const HEAD_BYTES = 64;

/**
 * The kind of image that a file begins like, or undefined. SVG is not among them on purpose: it is a document that
 * may refer to other files.
 */
export function imageKind(head: Uint8Array): ImageKind | undefined {
  // One character a byte, so that any byte can be compared.
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, HEAD_BYTES)).toString(
    'latin1',
  );
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'PNG';
  if (text.startsWith('\xff\xd8\xff')) return 'JPEG';
  if (text.startsWith('RIFF') && text.startsWith('WEBP', 8)) return 'WebP';
  if (/^GIF8[79]a/.test(text)) return 'GIF';
  if (text.startsWith('ftyp', 4) && hasAvifBrand(head, text)) return 'AVIF';
  // Little- and big-endian, and with 64-bit offsets.
  if (/^(II[*+]\0|MM\0[*+])/.test(text)) return 'TIFF';
  return undefined;
}

/** The box "ftyp" is its size, its name, a brand, a version and more brands, four bytes each. */
function hasAvifBrand(head: Uint8Array, text: string): boolean {
  const size = new DataView(head.buffer, head.byteOffset).getUint32(0);
  for (let at = 8; at < Math.min(size, text.length); at += 4) {
    const brand = text.slice(at, at + 4);
    if (at !== 12 && (brand === 'avif' || brand === 'avis')) return true;
  }
  return false;
}
