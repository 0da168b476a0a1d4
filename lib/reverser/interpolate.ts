import { dirname } from 'node:path';
import { suggestion } from '../config/nearest.js';
import type { Config } from '../config/schema.js';
import { SanError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import { encodeGrid } from '../generation/grid.js';
import { interpolate } from '../generation/interpolate.js';
import type { San } from '../generation/san.js';
import { inUse } from '../generation/uses.js';
import { imagesFrom, MEASURE_KEYS, type MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch, LatentBatch } from '../native.js';
import { requireControl, requireKeys, requirePath, requireWhole } from '../options.js';
import { refuseOverInput } from '../output-place.js';
import { shown } from '../shown.js';
import { encodeAnimation } from './animation.js';
import { type Endpoint, latentOf, requireEndpoint } from './ends.js';
import { pixelErrors } from './pixel-error.js';
import { type DrawnWay, drawAt, drawEvenly, evenFractions } from './way.js';

export const PACES = ['even', 'angle'] as const;
export type Pace = (typeof PACES)[number];

export interface WayOptions {
  from: Endpoint;
  to: Endpoint;
  /** Images on the way, both ends included: 2 to 100,000. Default 24. */
  frames?: number | undefined;
  /**
   * "even": frames that differ from the next by as equal amounts as can be; "angle": at equal angles between the latents,
   * where some change much more than others. Default even.
   */
  pace?: Pace | undefined;
}

export interface Changes {
  /** Root mean square difference of pixels from -1 to 1 between frames that follow one another: mean and largest. */
  meanChange: number;
  largestChange: number;
}

/** Frames on the way from one latent to another: images [frames, S, S, C]. */
export interface Way extends DrawnWay, Changes {
  /** What each was drawn from: [frames, Zc, Sz, Sz]. */
  latents: LatentBatch;
}

export interface InterpolateOptions extends WayOptions {
  /** The .png file to write: all frames in one row. */
  out?: string | undefined;
  /** The .webp file to write: the frames one after the other, without loss, for ever. */
  animation?: string | undefined;
  /** Whether the animation goes back the same way. Default false. */
  pingPong?: boolean | undefined;
  /** Frames a second of the animation, 1 to 100. Default 12. */
  fps?: number | undefined;
}

export interface Interpolated extends Changes {
  out?: string | undefined;
  animation?: string | undefined;
  frames: number;
}

/** Far more than a strip or an animation is looked at with. */
export const MOST_FRAMES = 100_000;

const WAY_KEYS = ['from', 'to', 'frames', 'pace'] as const satisfies (keyof WayOptions)[];
const KEYS = [...WAY_KEYS, 'out', 'animation', 'pingPong', 'fps'] as const;

/** San.interpolate(). */
export async function drawWay(san: San, options: WayOptions, control: MeasureControl): Promise<Way> {
  requireKeys(options, WAY_KEYS);
  requireControl(control, MEASURE_KEYS);
  const { frames, pace, ...ends } = checkedWay(options, san.config);
  const [from, to] = await Promise.all([ends.from, ends.to].map((end) => latentOf(san, end, control.signal)));
  const way = { from, to } as { from: LatentBatch; to: LatentBatch };
  const drawn = await (pace === 'even'
    ? drawEvenly(san, way, frames, control)
    : drawAt(san, way, evenFractions(frames), control));
  const changes = changesOf(drawn.images);
  return {
    ...drawn,
    latents: interpolate(way.from, way.to, drawn.fractions),
    meanChange: changes.reduce((a, b) => a + b, 0) / changes.length,
    largestChange: changes.reduce((a, b) => Math.max(a, b), 0),
  };
}

/**
 * Draws what San.interpolate() does into files: a strip, an animation, or both. Throws ERR_SAN_OPTIONS, ERR_SAN_SHAPE,
 * ERR_SAN_DISPOSED, DataError, OutputError; after an abort the signal's reason.
 */
export async function interpolateImages(
  san: San,
  options: InterpolateOptions,
  control: MeasureControl = {},
): Promise<Interpolated> {
  requireControl(control, MEASURE_KEYS);
  return inUse(san, (inner) => drawFiles(inner, options, control));
}

async function drawFiles(
  san: San,
  options: InterpolateOptions,
  control: MeasureControl,
): Promise<Interpolated> {
  requireKeys(options, KEYS);
  const way = checkedWay(options, san.config);
  const { out, animation, pingPong, fps } = checkedFiles(options);
  for (const end of [way.from, way.to]) {
    if (typeof end !== 'string') continue;
    if (out !== undefined) await refuseOverInput(out, end, 'out');
    if (animation !== undefined) await refuseOverInput(animation, end, 'animation');
  }
  for (const path of [out, animation]) if (path !== undefined) await ensureFolder(dirname(path));
  const { images, meanChange, largestChange } = await drawWay(san, way, control);
  const { frames } = way;
  if (out !== undefined) await writeFileAtomic(out, [await encodeGrid(images, { columns: frames })]);
  if (animation !== undefined) {
    await writeFileAtomic(animation, [await encodeAnimation(pingPong ? thereAndBack(images) : images, fps)]);
  }
  return {
    ...(out !== undefined && { out }),
    ...(animation !== undefined && { animation }),
    ...{ frames, meanChange, largestChange },
  };
}

/** Root mean square difference of each frame to the next. */
function changesOf(images: ImageBatch): Float64Array {
  const steps = images.shape[0] - 1;
  return pixelErrors(imagesFrom(images, 1, steps), imagesFrom(images, 0, steps)).map(Math.sqrt);
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

function fail(field: string, value: unknown, message: string): never {
  throw new SanError('ERR_SAN_OPTIONS', message, { field, value });
}

function checkedWay({ from, to, frames = 24, pace = 'even' }: WayOptions, config: Config) {
  requireEndpoint('from', from, config);
  requireEndpoint('to', to, config);
  requireWhole('frames', frames, 2, MOST_FRAMES);
  if (!PACES.includes(pace)) {
    const close = suggestion(String(pace), PACES);
    fail('pace', pace, `pace = ${shown(pace)}: expected ${PACES.join(' or ')}${close}`);
  }
  return { from, to, frames, pace };
}

function checkedFiles(options: InterpolateOptions) {
  const { out, animation, pingPong = false, fps = 12 } = options;
  if (out !== undefined) requirePath('out', out, '.png');
  if (animation !== undefined) requirePath('animation', animation, '.webp');
  if (out === undefined && animation === undefined) {
    fail(
      'out',
      undefined,
      'name a .png file for the strip (out), a .webp file (animation), or both; frames in memory: San.interpolate()',
    );
  }
  if (typeof pingPong !== 'boolean')
    fail('pingPong', pingPong, `pingPong = ${shown(pingPong)}: expected true or false`);
  if (!(fps >= 1 && fps <= 100)) fail('fps', fps, `fps = ${shown(fps)}: expected a number from 1 to 100`);
  const unused = pingPong ? 'pingPong' : options.fps !== undefined ? 'fps' : undefined;
  if (animation === undefined && unused !== undefined)
    fail(unused, options[unused], `${unused} is for an animation; name a .webp file for one (animation)`);
  return { out, animation, pingPong, fps };
}
