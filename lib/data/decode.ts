/** From the bytes of an image file to pixels of a given size. */
import sharp, { type SharpOptions } from 'sharp';
import type { ImageKind } from './kind.js';

/** What every image becomes. */
export interface ImageFormat {
  /** Width and height in pixels, 1 or more. */
  imageSize: number;
  /** 1 for grey, 3 for sRGB. */
  imageChannels: 1 | 3;
  /** Colour under transparent pixels, "#rrggbb". */
  background: string;
}

/** An image that cannot be used. The message is the reason, to be shown after the file's name. */
export class UnusableImage extends Error {}

/** Largest image in pixels. A small file can announce any size; this many take up to 0.8 GB while they are decoded. */
const MAX_PIXELS = 100_000_000;

/**
 * 'error' refuses files that are cut short or damaged. 'warning' would refuse harmless oddities as well, such as a
 * badly written colour profile.
 */
const OPENING: SharpOptions = { failOn: 'error', limitInputPixels: MAX_PIXELS };

/**
 * Decodes an image file (of an animation the first frame) into 8-bit pixels [imageSize, imageSize, imageChannels]:
 * turned as EXIF says, laid over the background, brought to sRGB by its colour profile, its largest centred square
 * resized with Lanczos-3. Throws UnusableImage.
 */
export async function decodeImage(
  file: Uint8Array,
  kind: ImageKind,
  format: ImageFormat,
): Promise<Uint8Array> {
  const { imageSize, imageChannels, background } = format;
  try {
    const { width, height, depth, channels } = await sharp(file, {
      ...OPENING,
      limitInputPixels: false,
    }).metadata();
    if (width * height > MAX_PIXELS) {
      throw new UnusableImage(
        `it has ${width}×${height} pixels; at most ${MAX_PIXELS / 1e6} million are read`,
      );
    }
    const image = sharp(file, OPENING);
    // By default libvips would lay grey with alpha over a grey background, and would leave pixels of more than 8 bits
    // that have a profile in Display P3. Going to sRGB first avoids both, but is slower for large JPEGs.
    if (channels === 2 || depth !== 'uchar') image.pipelineColourspace('srgb');
    const { data, info } = await image
      .autoOrient()
      // The fast way of shrinking WebP lets the colour of transparent pixels shine through at edges.
      .resize(imageSize, imageSize, { fit: 'cover', kernel: 'lanczos3', fastShrinkOnLoad: false })
      .flatten({ background })
      .toColourspace(imageChannels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.width !== imageSize || info.height !== imageSize || info.channels !== imageChannels) {
      throw new UnusableImage(`it became ${info.width}×${info.height} pixels of ${info.channels} channels`);
    }
    return data;
  } catch (error) {
    if (error instanceof UnusableImage) throw error;
    // Not libvips' own words: it collects them for all running calls together, so they may be about another file.
    throw new UnusableImage(`it is damaged, cut short or an unsupported sort of ${kind}`);
  }
}
