/** Batches of training images beside PyTorch's DataLoader on the same .npy file, and beside what a training step eats. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AUGMENTATIONS } from '../../lib/config/augmentation.js';
import { presets } from '../../lib/config/presets.js';
import {
  type BenchCase,
  type CaseContext,
  type Comparison,
  nodeContender,
  pythonContender,
} from '../case.js';

const BATCH = 64;
const CHANNELS = 3;
/** Bytes of pixels in the file: what is measured is work, not the disk. */
const FILE_BYTES = 96 * 2 ** 20;
/** Processes of the DataLoader. Its best is what counts; 0 is the main process itself. */
const WORKERS = [0, 1, 2, 4];

const loader: BenchCase = {
  description: "batches beside PyTorch's DataLoader, and beside the appetite of a training step",
  sizes: [32, 64, 128],
  async *comparisons(context) {
    for (const size of context.sizes) {
      const file = await someFile(context, size);
      for (const augment of ['none', 'photographs'] as const)
        yield comparisonOf(context, { size, file, augment });
    }
  },
};
export default loader;

interface Setting {
  size: number;
  file: string;
  augment: 'none' | 'photographs';
}

function comparisonOf({ threads, quick }: CaseContext, { size, file, augment }: Setting): Comparison {
  const augmentation = AUGMENTATIONS[augment];
  const common = { dataset: { path: file }, batchSize: BATCH, seed: 1 };
  const peer = { path: file, batch: BATCH, augmentation };
  const counts = quick ? WORKERS.slice(0, 2) : WORKERS;
  return {
    label: `${size} px, batch ${BATCH}, augment ${augment}`,
    unit: 'images',
    measure: 'rate',
    contenders: [
      { ...nodeContender('san-native', 'loader', { ...common, augmentation, workers: threads }), ours: true },
      ...counts.map((workers) =>
        pythonContender(`DataLoader, ${workers} worker${workers === 1 ? '' : 's'}`, 'loader.py', {
          ...peer,
          workers,
          tensors: false,
        }),
      ),
      ...(quick
        ? []
        : [
            pythonContender('DataLoader, whole batches, 2 workers', 'loader.py', {
              ...peer,
              workers: 2,
              tensors: true,
            }),
          ]),
      nodeContender('training steps (quickstart)', 'appetite', {
        dataset: common.dataset,
        settings: { ...presets.quickstart, imageSize: size, threads },
      }),
    ],
  };
}

/** Pixels that differ from image to image, as prepare() would lay them down. */
async function someFile({ folder, quick }: CaseContext, size: number): Promise<string> {
  const bytes = size * size * CHANNELS;
  const count = quick ? 2 * BATCH : Math.floor(FILE_BYTES / bytes);
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${count}, ${size}, ${size}, ${CHANNELS}), }`;
  const head = Buffer.alloc(128, ' ');
  head.write('\x93NUMPY\x01\x00\x76\x00', 'latin1');
  head.write(text, 10);
  head.write('\n', 127);
  const pixels = Buffer.alloc(count * bytes);
  let state = 1;
  for (let at = 0; at + 4 <= pixels.length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    pixels.writeInt32LE(state, at);
  }
  const path = join(folder, `images-${size}.npy`);
  await writeFile(path, [head, pixels]);
  return path;
}
