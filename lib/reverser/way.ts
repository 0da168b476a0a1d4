/** The way from one latent to another, drawn at points between which the picture changes evenly. */
import { interpolate } from '../generation/interpolate.js';
import type { San } from '../generation/san.js';
import { inBlocks, type MeasureControl } from '../metrics/blocks.js';
import type { ImageBatch, LatentBatch } from '../native.js';
import { evenlyApart } from './pacing.js';
import { pixelError } from './pixel-error.js';

/** What draws: a San. */
export type Painter = Pick<San, 'config' | 'decode'>;

export interface Ends {
  from: LatentBatch;
  to: LatentBatch;
}

export interface DrawnWay {
  /** Where on the way each image lies: from 0 to 1. */
  fractions: number[];
  images: ImageBatch;
}

/** Points that are looked at for each step of the way: at first, and at most. */
const PROBES = 4;
const MOST_PROBES = 16;
/** Bytes of images looked at that are held, unless the frames themselves take more. */
const MOST_BYTES = 2 ** 28;
/** Times that the gaps with the largest changes are halved: what is as large then changes at once. */
const HALVINGS = 4;
/** Differences of two points that are kept; a Map holds 16 million. */
const MOST_KNOWN = 2 ** 22;
/** Changes that are looked into, of the mean change between frames. */
const LARGE = 1 / 2;

/** So many frames, 2 or more with both ends, that differ from one another as evenly as they can. */
export async function drawEvenly(
  san: Painter,
  ends: Ends,
  frames: number,
  control: MeasureControl,
): Promise<DrawnWay> {
  const { imageSize, imageChannels } = san.config;
  const held = Math.floor(MOST_BYTES / (imageSize ** 2 * imageChannels));
  const most = Math.max(2 * frames, Math.min(MOST_PROBES * (frames - 1) + 1, held));
  const first = Math.min(PROBES * (frames - 1) + 1, most);
  const probes = new Probes(san, ends, control);
  await probes.add(evenFractions(first));
  let taken = await probes.evenlyApart(frames);
  // Two frames are the ends, whatever lies between them.
  if (frames > 2) {
    const limit = LARGE * probes.meanChange(taken);
    for (let i = 0; i < HALVINGS && (await probes.halveLarge(limit, most)); i++);
    taken = await probes.evenlyApart(frames);
  }
  return probes.at(taken);
}

/** Points that have been drawn, in the order of the way. */
class Probes {
  private readonly san: Painter;
  private readonly ends: Ends;
  private readonly control: MeasureControl;
  private points: { id: number; fraction: number; pixels: Uint8Array }[] = [];
  /** Of pairs of points by their ids: the same are asked for again and again. */
  private readonly differences = new Map<number, number>();

  constructor(san: Painter, ends: Ends, control: MeasureControl) {
    this.san = san;
    this.ends = ends;
    this.control = control;
  }

  async add(fractions: number[]): Promise<void> {
    const {
      images: { data },
    } = await drawAt(this.san, this.ends, fractions, this.control);
    const size = data.length / fractions.length;
    const known = this.points.length;
    for (const [i, fraction] of fractions.entries()) {
      this.points.push({ id: known + i, fraction, pixels: data.subarray(i * size, (i + 1) * size) });
    }
    this.points.sort((a, b) => a.fraction - b.fraction);
  }

  /** Draws the middles of the gaps over which the picture changes by more than `limit`, the largest first; whether there were any. */
  async halveLarge(limit: number, most: number): Promise<boolean> {
    const gaps = this.points
      .slice(1)
      .map((point, i) => ({
        change: this.difference(i, i + 1),
        middle: ((this.points[i]?.fraction ?? 0) + point.fraction) / 2,
      }))
      .filter(({ change }) => change > limit)
      .sort((a, b) => b.change - a.change)
      .slice(0, most - this.points.length);
    if (gaps.length > 0) await this.add(gaps.map(({ middle }) => middle));
    return gaps.length > 0;
  }

  evenlyApart(count: number): Promise<number[]> {
    return evenlyApart(this.points.length, count, (a, b) => this.difference(a, b), this.control.signal);
  }

  /** Between neighbours among points of these places. */
  meanChange(taken: readonly number[]): number {
    const sum = taken.slice(1).reduce((sum, at, i) => sum + this.difference(taken[i] as number, at), 0);
    return sum / (taken.length - 1);
  }

  at(taken: readonly number[]): DrawnWay {
    const { imageSize, imageChannels } = this.san.config;
    const shape: ImageBatch['shape'] = [taken.length, imageSize, imageSize, imageChannels];
    const size = imageSize ** 2 * imageChannels;
    const data = new Uint8Array(taken.length * size);
    const points = taken.map((at) => this.points[at] as Probes['points'][number]);
    for (const [i, { pixels }] of points.entries()) data.set(pixels, i * size);
    return { fractions: points.map(({ fraction }) => fraction), images: { data, shape } };
  }

  /** Root mean square of pixels from -1 to 1. */
  private difference(a: number, b: number): number {
    const [one, other] = [this.points[a], this.points[b]] as [Probes['points'][0], Probes['points'][0]];
    const pair = Math.min(one.id, other.id) * 2 ** 26 + Math.max(one.id, other.id);
    const known = this.differences.get(pair);
    if (known !== undefined) return known;
    const found = Math.sqrt(pixelError(one.pixels, other.pixels));
    if (this.differences.size === MOST_KNOWN) this.differences.clear();
    this.differences.set(pair, found);
    return found;
  }
}

/** So many points, 2 or more, evenly spread from 0 to 1. */
export const evenFractions = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => i / (count - 1));

/** The images at these points of the way. */
export async function drawAt(
  san: Painter,
  { from, to }: Ends,
  fractions: number[],
  control: MeasureControl,
): Promise<DrawnWay> {
  const { imageSize, imageChannels } = san.config;
  const shape: ImageBatch['shape'] = [fractions.length, imageSize, imageSize, imageChannels];
  const data = new Uint8Array(shape.reduce((a, b) => a * b, 1));
  const size = data.length / fractions.length;
  await inBlocks('drawing the way', shape, control, async (start, count) => {
    const latents = interpolate(from, to, fractions.slice(start, start + count));
    data.set((await san.decode(latents)).data, start * size);
  });
  return { fractions, images: { data, shape } };
}
