/** From the bytes of an image file to pixels of a given size. */
import sharp, { type Sharp, type SharpOptions } from 'sharp';
import type { ImageFormat } from '../config/schema.js';
import { centredSquare, enlarge } from './enlarge.js';
import { Gate } from './gate.js';
import { gifFault } from './gif.js';
import type { ImageKind } from './kind.js';
import type { PixelItem } from './source.js';

export type { ImageFormat };

/** An image that cannot be used. The message is the reason, to be shown after the file's name. */
export class UnusableImage extends Error {}

const FIT = { cover: 'cover', contain: 'contain', stretch: 'fill' } as const;
type Size = { width: number; height: number };
/** Seconds after which a decoder is given up: far more than the largest image takes on a slow machine. */
const LONGEST = 300;
/** Libvips collects the messages of all running calls together; only alone does a call know which are its own. */
const gate = new Gate();

/**
 * Decodes an image file (of an animation the first frame) into 8-bit pixels [imageSize, imageSize, imageChannels]:
 * turned as EXIF says, laid over the background, brought to sRGB by its colour profile, cropped and resized with
 * Lanczos-3. Throws UnusableImage; also for a file that is cut short, whatever could be seen of it.
 */
export async function decodeImage(
  file: Uint8Array,
  kind: ImageKind,
  format: ImageFormat,
): Promise<Uint8Array> {
  const attempt = (failOn: 'error' | 'warning') =>
    gate.together(async () => render(await open(file, kind, format, failOn), format));
  try {
    // 'error' refuses files that are cut short or damaged; 'warning' would refuse harmless oddities as well. Of JPEG,
    // where an end that was put behind half a picture is but a warning, the words decide.
    if (kind === 'GIF') requireWhole(file);
    if (kind !== 'JPEG') return await attempt('error');
    try {
      return await attempt('warning');
    } catch {
      const warning = await gate.apart(async () =>
        render(await open(file, kind, format, 'warning'), format).then(() => '', String),
      );
      if (/premature end/i.test(warning)) throw new UnusableImage('it is cut short');
      return await attempt('error');
    }
  } catch (error) {
    throw error instanceof UnusableImage
      ? error
      : new UnusableImage(await reasonFor(error, file, kind, format));
  }
}

/** Brings plain pixels to the format in the same way. Throws UnusableImage. */
export async function convertPixels(
  { data, width, height, channels }: Pick<PixelItem, 'data' | 'width' | 'height' | 'channels'>,
  format: ImageFormat,
): Promise<Uint8Array> {
  if (width * height > format.maxPixels) throw new UnusableImage(tooLarge(width, height, format));
  return render(sharp(data, { raw: { width, height, channels }, limitInputPixels: false }), format);
}

async function open(
  file: Uint8Array,
  kind: ImageKind,
  { maxPixels }: ImageFormat,
  failOn: 'error' | 'warning',
): Promise<Sharp> {
  const opening: SharpOptions = { failOn, limitInputPixels: maxPixels };
  const image = sharp(file, opening).timeout({ seconds: LONGEST });
  if (!mayBeOdd(file, kind)) return image;
  const { depth, channels, space } = await sharp(file, opening).metadata();
  // What range such numbers have is each program's own affair; Lab has a known one.
  if (depth !== 'uchar' && depth !== 'ushort' && !space?.startsWith('lab'))
    throw new UnusableImage(`its samples are of type ${depth}; unsigned ones of 8 or 16 bits are read`);
  // By default libvips would lay grey with alpha over a grey background, and would leave pixels of more than 8 bits
  // that have a profile in Display P3. Going to sRGB first avoids both, but is slower for large JPEGs.
  return channels === 2 || depth !== 'uchar' ? image.pipelineColourspace('srgb') : image;
}

/** Whether a file may hold grey with alpha, or more than 8 bits; looking at it with libvips takes time. */
function mayBeOdd(file: Uint8Array, kind: ImageKind): boolean {
  if (kind === 'JPEG' || kind === 'WebP') return false;
  if (kind !== 'PNG') return true;
  // Of IHDR, which comes first in every PNG: bits a sample, and the colour type, where 2, 3 and 6 are colours.
  const [depth = 0, type = 0] = file.subarray(24, 26);
  return depth > 8 || (type !== 2 && type !== 3 && type !== 6);
}

async function render(image: Sharp, format: ImageFormat): Promise<Uint8Array> {
  const { imageSize, imageChannels, background, crop } = format;
  const { autoOrient } = await image.metadata();
  if (isSmaller(autoOrient, format)) return renderLarger(image, autoOrient, format);
  const { data, info } = await image
    .autoOrient()
    // The fast way of shrinking WebP lets the colour of transparent pixels shine through at edges.
    .resize(imageSize, imageSize, { fit: FIT[crop], background, kernel: 'lanczos3', fastShrinkOnLoad: false })
    .flatten({ background })
    .toColourspace(imageChannels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.width !== imageSize || info.height !== imageSize || info.channels !== imageChannels) {
    throw new UnusableImage(`it became ${info.width}×${info.height} pixels of ${info.channels} channels`);
  }
  return data;
}

/** Whether an image would have to be enlarged; when stretched, along one axis. */
function isSmaller({ width, height }: Size, { imageSize, crop }: ImageFormat): boolean {
  return (crop === 'contain' ? Math.max(width, height) : Math.min(width, height)) < imageSize;
}

/** The way of those that isSmaller() tells: laid over the background first, then enlarged. */
async function renderLarger(image: Sharp, given: Size, format: ImageFormat): Promise<Uint8Array> {
  const { imageSize, imageChannels, background, crop } = format;
  let plain = image.autoOrient();
  // Along the other axis it may have to be made smaller.
  if (crop === 'stretch')
    plain = plain.resize(Math.min(given.width, imageSize), Math.min(given.height, imageSize), {
      fit: 'fill',
      kernel: 'lanczos3',
      fastShrinkOnLoad: false,
    });
  const { data, info } = await plain
    .flatten({ background })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels !== 3) throw new UnusableImage(`it became pixels of ${channels} channels`);
  const whole = { data, width, height, channels } as const;
  const part = crop === 'cover' ? centredSquare(whole) : whole;
  const most = Math.max(width, height);
  const size = (side: number) => (crop === 'contain' ? Math.round((side * imageSize) / most) : imageSize);
  const target = { width: size(width), height: size(height) };
  const larger = sharp(await enlarge(part, target), { raw: { ...target, channels } });
  const [left, top] = [
    Math.floor((imageSize - target.width) / 2),
    Math.floor((imageSize - target.height) / 2),
  ];
  const [right, bottom] = [imageSize - target.width - left, imageSize - target.height - top];
  return larger
    .extend({ left, right, top, bottom, background })
    .toColourspace(imageChannels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
}

function requireWhole(gif: Uint8Array): void {
  const fault = gifFault(gif);
  if (fault !== undefined) throw new UnusableImage(fault);
}

async function reasonFor(
  error: unknown,
  file: Uint8Array,
  kind: ImageKind,
  format: ImageFormat,
): Promise<string> {
  const { width = 0, height = 0 } = await sharp(file, { limitInputPixels: false })
    .metadata()
    .catch(() => ({ width: 0, height: 0 }));
  if (width * height > format.maxPixels) return tooLarge(width, height, format);
  // The one message that sharp itself makes; libvips' own may be about another file.
  if (/^timeout:/.test((error as Error).message)) return `decoding it takes more than ${LONGEST} s`;
  return `it is damaged, cut short or an unsupported sort of ${kind}`;
}

function tooLarge(width: number, height: number, { maxPixels }: ImageFormat): string {
  return `it has ${width}×${height} pixels; at most ${maxPixels / 1e6} million are read (maxPixels)`;
}
