/** Making a training set of image files, beside a bare loop over sharp that gives the same pixels. */
import { cp, mkdir, readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { packageRoot } from '../../lib/native.js';
import { type BenchCase, type CaseContext, type Comparison, nodeContender } from '../case.js';

const EMOJI = 'node_modules/@lobehub/fluent-emoji-3d/assets';
const COUNT = 240;
/** As cameras of some years ago gave them. */
const PHOTO = { width: 1600, height: 1200 };

const prepare: BenchCase = {
  description: 'image files into a training set, beside a bare loop over sharp with the same options',
  sizes: [64],
  async *comparisons(context) {
    const count = context.quick ? 16 : COUNT;
    const sources = [
      { name: 'WebP files of 256×256, transparent', folder: await emoji(context.folder, count) },
      { name: `JPEG files of ${PHOTO.width}×${PHOTO.height}`, folder: await photos(context.folder, count) },
    ];
    for (const imageSize of context.sizes) {
      for (const { name, folder } of sources) {
        yield comparisonOf(context, `${name} to ${imageSize} px`, folder, imageSize, 'processor');
        yield comparisonOf(context, `${name} to ${imageSize} px`, folder, imageSize, 'clock');
      }
    }
  },
};
export default prepare;

function comparisonOf(
  { folder }: CaseContext,
  label: string,
  source: string,
  imageSize: number,
  time: 'clock' | 'processor',
): Comparison {
  const options = { source, imageSize, time };
  const out = join(folder, `set-${imageSize}-${time}.npy`);
  return {
    label: time === 'clock' ? label : `${label}, per second of processor time`,
    unit: 'images',
    measure: 'rate',
    contenders: [
      { ...nodeContender('san-native', 'prepare', { ...options, out }), ours: true },
      nodeContender('bare sharp', 'sharp-loop', { ...options, parallel: availableParallelism() + 2 }),
    ],
    agreement: (facts) => {
      const hashes = new Set([...facts.values()].map(({ hash }) => hash));
      if (hashes.size !== 1) throw new Error('the two do not give the same pixels');
      return ['the same pixels, to the byte'];
    },
  };
}

async function emoji(parent: string, count: number): Promise<string> {
  const from = join(packageRoot(), EMOJI);
  const folder = join(parent, 'emoji');
  await mkdir(folder);
  const names = (await readdir(from)).sort();
  for (let i = 0; i < count; i++) {
    const name = names[Math.floor((i * names.length) / count)] as string;
    await cp(join(from, name), join(folder, name));
  }
  return folder;
}

/** Coloured waves with some noise, so that they have the size of photographs. */
async function photos(parent: string, count: number): Promise<string> {
  const folder = join(parent, 'photos');
  const { width, height } = PHOTO;
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < count; i++) {
    const path = join(folder, `${String(i).padStart(4, '0')}.jpg`);
    await mkdir(dirname(path), { recursive: true });
    // A few different ones are enough.
    if (i >= 8) {
      await cp(join(folder, `${String(i % 8).padStart(4, '0')}.jpg`), path);
      continue;
    }
    for (let at = 0; at < pixels.length; at++) {
      const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
      const noise = ((at * 2_654_435_761) >>> 24) / 12;
      pixels[at] =
        120 + 50 * Math.sin((x * (i + 2)) / 90 + (at % 3)) + 50 * Math.cos((y * (i + 3)) / 70) + noise;
    }
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: 90 })
      .toFile(path);
  }
  return folder;
}
