/** Whether two contenders draw the same images of the same latents. */
import type { SanError } from '../lib/errors.js';
import { San } from '../lib/generation/san.js';
import type { Device, ImageBatch, LatentBatch } from '../lib/native.js';
import { Disagreement } from './case.js';

/** Images that every contender draws from the same latents first. */
export const CHECKED = 8;
/** In 8-bit levels; rounding may fall on the other side. */
const TOLERANCE = 1;
/**
 * Images that may differ: ADO's gates are steps, and rounding takes one that is within 1e-6 of its threshold to the other
 * side. Seen with torch.compile at 128 pixels, where the gate was 2e-7 from it.
 */
const FLIPPED = 1;
/** Mean difference that roundings to bfloat16, and the gates that they turn, may make. */
const ROUGH_TOLERANCE = 12;

/** The images of `latents`; undefined where the processor has no bf16. */
export async function inBf16(
  checkpoint: string,
  latents: LatentBatch,
  device: Device = 'cpu',
): Promise<ImageBatch | undefined> {
  try {
    await using san = await San.load(checkpoint, { precision: 'bf16', device });
    return await san.decode(latents);
  } catch (error) {
    if ((error as SanError).code === 'ERR_SAN_OPTIONS') return undefined;
    throw error;
  }
}

/** Of the values of two batches, in 8-bit levels. */
function levelsApart(expected: ImageBatch, found: Uint8Array): { mean: number; p99: number; most: number } {
  const apart = expected.data.map((value, i) => Math.abs(value - (found[i] ?? 0))).sort();
  return {
    mean: apart.reduce((sum, value) => sum + value, 0) / apart.length,
    p99: apart[Math.floor(apart.length * 0.99)] ?? Number.NaN,
    most: apart[apart.length - 1] ?? Number.NaN,
  };
}

export function differenceText(expected: ImageBatch, found: Uint8Array): string {
  const { mean, p99, most } = levelsApart(expected, found);
  return `${mean.toFixed(2)} of 255 levels from fp32 on average, 99 % of the values within ${p99}, all within ${most}`;
}

/** `images`: base64 of the same bytes, from contenders that check. */
export function compareImages(name: string, expected: ImageBatch, images: unknown): string[] {
  if (typeof images !== 'string') return [];
  const found = Buffer.from(images, 'base64');
  const size = expected.data.length / CHECKED;
  const largest = Array.from({ length: CHECKED }, (_, image) => {
    let most = found.length === expected.data.length ? 0 : Number.POSITIVE_INFINITY;
    for (let i = image * size; i < (image + 1) * size; i++)
      most = Math.max(most, Math.abs((expected.data[i] ?? 0) - (found[i] ?? 0)));
    return most;
  });
  const same = largest.filter((levels) => levels <= TOLERANCE);
  const [least, most] = [Math.max(0, ...same), Math.max(...largest)];
  if (same.length === CHECKED) return [`${name}: the same images, at most ${least} of 255 levels apart`];
  if (same.length < CHECKED - FLIPPED || most === Number.POSITIVE_INFINITY)
    throw new Disagreement(name, `draws other images than we do: ${most} levels apart`);
  return [
    `${name}: ${same.length} of ${CHECKED} images the same, at most ${least} of 255 levels apart; in the other a gate of ADO within rounding of its threshold falls on the other side, ${most} levels`,
  ];
}

/** As compareImages(), of a contender that computes in bfloat16. */
export function compareRoughly(name: string, expected: ImageBatch, images: unknown): string[] {
  if (typeof images !== 'string') return [];
  const found = Buffer.from(images, 'base64');
  const { mean } = levelsApart(expected, found);
  const text = differenceText(expected, found);
  if (found.length !== expected.data.length || !(mean < ROUGH_TOLERANCE))
    throw new Disagreement(name, `draws other images than we do: ${text}`);
  return [`${name}: ${text}`];
}
