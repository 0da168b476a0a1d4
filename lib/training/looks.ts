/** Two numbers about a grid of samples that show mode collapse and blur, and what they mean in words. */
import { diversity, sharpness } from '../metrics/pixels.js';
import type { ImageBatch } from '../native.js';

/** Of generated images, each relative to training images: docs/metrics.md. */
export interface Looks {
  diversity: number;
  sharpness: number;
}

/** Below so much of a training image's value something is wrong, even on the few images of a grid. */
const TOO_LITTLE = 0.5;
/** Before this part of a run pictures are bad anyway. */
const EARLY = 0.25;

/** Undefined where there are fewer than two images of either kind. */
export function looksOf(fake: ImageBatch, real: ImageBatch): Looks | undefined {
  if (Math.min(fake.shape[0], real.shape[0]) < 2) return undefined;
  return { diversity: diversity(fake, real), sharpness: sharpness(fake, real) };
}

/** What is wrong with the pictures of a step, by kind; nothing early in a run. */
export function complaints(
  { diversity, sharpness }: Looks,
  step: number,
  steps: number,
): { kind: string; message: string }[] {
  if (step < EARLY * steps) return [];
  const found: { kind: string; message: string }[] = [];
  const add = (kind: string, value: number, what: string, remedy: string) => {
    if (!(value < TOO_LITTLE)) return;
    found.push({ kind, message: `step ${step}: ${what} ${value.toFixed(2)} times ${remedy}` });
  };
  add(
    'mode collapse',
    diversity,
    'generated images repeat each other (mode collapse): they differ',
    'as much as training images do; repulsion and pairing = cycle keep them apart',
  );
  add(
    'blur',
    sharpness,
    'generated images are blurred: their edges have',
    'the energy of those of training images; more steps or a lower wGI sharpen them',
  );
  return found;
}
