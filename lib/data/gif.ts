/**
 * Whether the first picture of a GIF file is complete. libvips fills up what is missing with black, and drops the last pixel
 * where the mark at the end of the data is missing; both in silence. Only lengths are followed here, not
 * pixels.
 */

/** Why the first picture of a GIF cannot be trusted; undefined when its data are as they should be. */
export function gifFault(file: Uint8Array): string | undefined {
  const frame = firstFrame(file);
  if (frame === 'none') return 'it has no picture in it';
  // libvips has words of its own for what is damaged as a whole.
  if (frame === undefined) return undefined;
  const { pixels, filled, colours, codeBits, data } = frame;
  if (!filled) return 'its first picture does not fill it';
  const { count, ended, largest } = follow(data, codeBits, pixels);
  if (count < pixels || !ended) return 'it is cut short';
  return largest >= colours ? 'it has colours that are not in its palette' : undefined;
}

interface Frame {
  pixels: number;
  /** Whether what it leaves of the whole is transparent, or nothing. */
  filled: boolean;
  /** Entries of the palette. */
  colours: number;
  /** Bits of the smallest codes. */
  codeBits: number;
  /** LZW data, its blocks joined. */
  data: Uint8Array;
}

const EXTENSION = 0x21;
const GRAPHIC_CONTROL = 0xf9;
const IMAGE = 0x2c;
const TRAILER = 0x3b;

/** Undefined where the file does not keep to the format; "none" where it ends without a picture. */
function firstFrame(file: Uint8Array): Frame | 'none' | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const paletteSize = (flags: number) => (flags & 0x80 ? 2 << (flags & 7) : 0);
  const globalColours = paletteSize(file[10] ?? 0);
  let at = 13 + 3 * globalColours;
  const blocks = (): Uint8Array[] => {
    const found: Uint8Array[] = [];
    for (let size = file[at++] ?? 0; size > 0; size = file[at++] ?? 0) {
      found.push(file.subarray(at, at + size));
      at += size;
    }
    return found;
  };
  let transparent = false;
  for (let kind = file[at++]; kind === EXTENSION; kind = file[at++]) {
    if (file[at++] === GRAPHIC_CONTROL) transparent = ((file[at + 1] ?? 0) & 1) === 1;
    blocks();
  }
  if (file[at - 1] === TRAILER) return 'none';
  if (file[at - 1] !== IMAGE || at + 10 > file.length) return undefined;
  const sizeAt = (place: number) => view.getUint16(place, true) * view.getUint16(place + 2, true);
  const pixels = sizeAt(at + 4);
  const atOrigin = view.getUint32(at, true) === 0;
  const filled = transparent || (atOrigin && pixels === sizeAt(6));
  const ownColours = paletteSize(file[at + 8] as number);
  at += 9 + 3 * ownColours;
  const codeBits = file[at++] ?? 0;
  if (codeBits < 1 || codeBits > 11) return undefined;
  return {
    pixels,
    filled,
    colours: ownColours || globalColours || 256,
    codeBits,
    data: Buffer.concat(blocks()),
  };
}

const MOST_BITS = 12;

/** Counts the pixels that LZW data stand for, up to `wanted`. Every code is as long as the one before it and one pixel. */
function follow(data: Uint8Array, codeBits: number, wanted: number) {
  const clear = 1 << codeBits;
  const end = clear + 1;
  const lengths = new Uint32Array(1 << MOST_BITS).fill(1, 0, clear);
  let bits = codeBits + 1;
  let next = end + 1;
  let previous = 0;
  let count = 0;
  let largest = 0;
  let buffer = 0;
  let held = 0;
  for (const byte of data) {
    buffer |= byte << held;
    held += 8;
    while (held >= bits) {
      const code = buffer & ((1 << bits) - 1);
      buffer >>>= bits;
      held -= bits;
      if (code === end) return { count, ended: true, largest };
      if (code === clear) {
        bits = codeBits + 1;
        next = end + 1;
        previous = 0;
        continue;
      }
      // Damage of this sort libvips refuses by itself.
      if (code > next || (code === next && previous === 0)) return { count: wanted, ended: true, largest };
      if (code < clear) largest = Math.max(largest, code);
      if (previous > 0 && next < lengths.length) {
        lengths[next++] = previous + 1;
        if (next === 1 << bits && bits < MOST_BITS) bits++;
      }
      previous = lengths[code] as number;
      count += previous;
    }
  }
  return { count, ended: false, largest };
}
