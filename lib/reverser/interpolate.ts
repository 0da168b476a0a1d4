import { dirname } from 'node:path';
import { suggestion } from '../config/nearest.js';
import { SanError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { requireWhole } from '../generation/checks.js';
import { encodeGrid } from '../generation/grid.js';
import type { San } from '../generation/san.js';
import { imagesFrom, type MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch, LatentBatch } from '../native.js';
import { encodeAnimation } from './animation.js';
import { readImage } from './images.js';
import { requireKeys, requirePath } from './options.js';
import { pixelErrors } from './pixel-error.js';
import { drawAt, drawEvenly, evenFractions } from './way.js';

/** An image file, whose latent the reverser finds; or an image that generate() draws. */
export type Endpoint = string | { seed: number; index: number };

export const PACES = ['even', 'angle'] as const;
export type Pace = (typeof PACES)[number];

export interface InterpolateOptions {
  from: Endpoint;
  to: Endpoint;
  /** Images on the way, both ends included. Default 24. */
  frames?: number | undefined;
  /**
   * "even": frames that differ from the next by as equal amounts as can be; "angle": at equal angles between the latents,
   * where some change much more than others. Default even.
   */
  pace?: Pace | undefined;
  /** The .png file to write: all frames in one row. */
  out?: string | undefined;
  /** The .webp file to write: the frames one after the other, without loss, for ever. */
  animation?: string | undefined;
  /** Whether the animation goes back the same way. Default false. */
  pingPong?: boolean | undefined;
  /** Frames a second of the animation, 1 to 100. Default 12. */
  fps?: number | undefined;
}

export interface Interpolated {
  out?: string | undefined;
  animation?: string | undefined;
  frames: number;
  /** Root mean square difference of pixels from -1 to 1 between frames that follow one another: mean and largest. */
  meanChange: number;
  largestChange: number;
}

const KEYS = ['from', 'to', 'frames', 'pace', 'out', 'animation', 'pingPong', 'fps'];

/**
 * Draws the way from one image to another: latents on the great circle between both (slerp), each drawn by the
 * generator. The ends are G(R(x)) of image files. Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED, DataError, OutputError;
 * after an abort the signal's reason.
 */
export async function interpolateImages(
  san: San,
  options: InterpolateOptions,
  control: MeasureControl = {},
): Promise<Interpolated> {
  const { frames, pace, out, animation, pingPong, fps } = checked(options);
  for (const path of [out, animation]) if (path !== undefined) await ensureFolder(dirname(path));
  const ends = await Promise.all([options.from, options.to].map((end) => latentOf(san, end, control)));
  const way = { from: ends[0] as LatentBatch, to: ends[1] as LatentBatch };
  const images =
    pace === 'even'
      ? (await drawEvenly(san, way, frames, control)).images
      : await drawAt(san, way, evenFractions(frames), control);
  if (out !== undefined) await writeFileAtomic(out, [await encodeGrid(images, { columns: frames })]);
  if (animation !== undefined) {
    await writeFileAtomic(animation, [await encodeAnimation(pingPong ? thereAndBack(images) : images, fps)]);
  }
  const changes = changesOf(images);
  return {
    ...(out !== undefined && { out }),
    ...(animation !== undefined && { animation }),
    frames,
    meanChange: changes.reduce((a, b) => a + b, 0) / changes.length,
    largestChange: Math.max(...changes),
  };
}

/** Root mean square difference of each frame to the next. */
function changesOf(images: ImageBatch): Float64Array {
  const steps = images.shape[0] - 1;
  return pixelErrors(imagesFrom(images, 1, steps), imagesFrom(images, 0, steps)).map(Math.sqrt);
}

async function latentOf(san: San, end: Endpoint, { signal }: MeasureControl): Promise<LatentBatch> {
  if (typeof end === 'string') return san.reverse(await readImage(end, san.config, signal));
  return san.latents({ seed: end.seed, startIndex: end.index, count: 1 });
}

/** The frames, then those between the ends once more in reverse, so that the loop has no frame twice in a row. */
function thereAndBack({ data, shape: [count, ...item] }: ImageBatch): ImageBatch {
  const size = data.length / count;
  const order = [
    ...Array(count).keys(),
    ...Array.from({ length: Math.max(0, count - 2) }, (_, i) => count - 2 - i),
  ];
  const frames = new Uint8Array(order.length * size);
  for (const [i, frame] of order.entries()) {
    frames.set(data.subarray(frame * size, (frame + 1) * size), i * size);
  }
  return { data: frames, shape: [order.length, ...item] };
}

function checked(options: InterpolateOptions) {
  requireKeys(options, KEYS);
  const { from, to, frames = 24, pace = 'even', out, animation, pingPong = false, fps = 12 } = options;
  for (const [field, end] of Object.entries({ from, to })) {
    if (typeof end !== 'object' || end === null) requirePath(field, end);
    else {
      requireKeys(end, ['seed', 'index']);
      requireWhole(`${field}.seed`, end.seed, 0);
      requireWhole(`${field}.index`, end.index, 0);
    }
  }
  requireWhole('frames', frames, 2);
  if (out !== undefined) requirePath('out', out, '.png');
  if (animation !== undefined) requirePath('animation', animation, '.webp');
  const fail = (field: string, value: unknown, message: string) => {
    throw new SanError('ERR_SAN_OPTIONS', message, { field, value });
  };
  if (out === undefined && animation === undefined) {
    fail('out', undefined, 'name a .png file for the strip (out), a .webp file (animation), or both');
  }
  if (!PACES.includes(pace)) {
    fail(
      'pace',
      pace,
      `pace = ${JSON.stringify(pace)}: expected ${PACES.join(' or ')}${suggestion(String(pace), PACES)}`,
    );
  }
  if (typeof pingPong !== 'boolean')
    fail('pingPong', pingPong, `pingPong = ${pingPong}: expected true or false`);
  if (!(fps >= 1 && fps <= 100)) fail('fps', fps, `fps = ${fps}: expected a number from 1 to 100`);
  return { frames, pace, out, animation, pingPong, fps };
}
