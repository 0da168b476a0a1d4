/** 8-bit grey and RGB pixels as PNG files. */
import { crc32 } from 'node:zlib';
import { CompressionType, FilterType, Transformer } from '@napi-rs/image';
import type { ImageBatch } from '../../native.js';

/**
 * Of all filters and levels the smallest files at full speed: 35 µs and 6.5 kB for a 64×64 RGB image, where libvips
 * takes 500 µs for 7.1 kB.
 */
const OPTIONS = { compressionType: CompressionType.Fast, filterType: FilterType.Sub };

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
/** Length, type, checksum. */
const CHUNK_FRAME = 12;
const IHDR_LENGTH = 13;
const COLOUR_TYPES: Record<number, number> = { 1: 0, 3: 2 };

/**
 * Image `index` of a batch, 1 or 3 channels, as a PNG file, on the calling thread. @napi-rs/image takes raw pixels as RGBA
 * alone, but encodes what it decodes: hence the detour by PNM, a header before the pixels.
 */
export function encodePng({ data, shape }: ImageBatch, index: number): Buffer {
  const [, height, width, channels] = shape;
  const size = height * width * channels;
  const header = Buffer.from(`P${channels === 1 ? 5 : 6} ${width} ${height} 255\n`, 'latin1');
  const pnm = Buffer.concat([header, data.subarray(index * size, (index + 1) * size)]);
  return new Transformer(pnm).pngSync(OPTIONS);
}

/** Whether these are the bytes of a whole, undamaged 8-bit PNG file of this size and number of channels. */
export function isWholePng(file: Buffer, size: number, channels: number): boolean {
  if (!file.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return false;
  let at = SIGNATURE.length;
  for (let first = true; at + CHUNK_FRAME <= file.length; first = false) {
    const length = file.readUInt32BE(at);
    const end = at + CHUNK_FRAME + length;
    if (end > file.length) return false;
    const type = file.toString('latin1', at + 4, at + 8);
    if (crc32(file.subarray(at + 4, end - 4)) !== file.readUInt32BE(end - 4)) return false;
    if (first) {
      if (type !== 'IHDR' || length !== IHDR_LENGTH) return false;
      const [width, height] = [file.readUInt32BE(at + 8), file.readUInt32BE(at + 12)];
      if (
        width !== size ||
        height !== size ||
        file[at + 16] !== 8 ||
        file[at + 17] !== COLOUR_TYPES[channels]
      )
        return false;
    }
    if (type === 'IEND') return end === file.length;
    at = end;
  }
  return false;
}
