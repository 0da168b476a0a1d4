/** A set of images that a fake network draws into a sink. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { drawInto, type GenerateControl } from '../../../lib/generation/generate-to.js';
import { openSink } from '../../../lib/generation/sinks/open.js';
import type { ImageSet } from '../../../lib/generation/sinks/sink.js';
import { drawer, pixels } from './support.js';

export const SIZE = 5;
export const set: ImageSet = {
  seed: 2,
  startIndex: 4,
  count: 50,
  truncation: null,
  checkpoint: 'c'.repeat(64),
  step: 9,
  precision: 'fp32',
  imageSize: SIZE,
  imageChannels: 3,
};
const ITEM = SIZE * SIZE * 3;
/** All pixels of the set. */
export const wanted = Buffer.concat(Array.from({ length: set.count }, (_, i) => pixels(2, 4 + i, ITEM)));

export interface Run {
  changes?: Partial<ImageSet>;
  control?: GenerateControl;
  onDraw?: Parameters<typeof drawer>[2];
}

export function draw(target: string | Writable, { changes = {}, control = {}, onDraw }: Run = {}) {
  const whole = { ...set, ...changes };
  const network = drawer(whole.imageSize, whole.imageChannels, onDraw);
  const { seed, truncation } = whole;
  const options = { seed, truncation: truncation ?? undefined, batchSize: 8 };
  const done = drawInto(
    (onCheck) => openSink(target, whole, { onCheck, signal: control.signal }),
    network.drawer,
    whole,
    options,
    control,
  );
  return { done, asked: network.asked };
}

/** All files below a path with their digests. */
export async function digests(path: string): Promise<Record<string, string>> {
  const names = (await stat(path)).isDirectory() ? await readdir(path) : [''];
  const entries = names.map(async (name) => {
    const file = await readFile(name === '' ? path : join(path, name));
    return [name, createHash('sha256').update(file).digest('hex')] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
