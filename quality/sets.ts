/** Where the images of an experiment come from, and the classifier that goes with them. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { spreadRows } from '../lib/data/dataset.js';
import { npyHeader } from '../lib/data/npy.js';
import { prepare } from '../lib/data/prepared/prepare.js';
import { DataError } from '../lib/errors.js';
import { ensureFolder, writeFileAtomic } from '../lib/files.js';
import type { ImageBatch } from '../lib/native.js';
import { emojiLabels } from './emoji.js';
import { formatOf, type SetName } from './grid.js';
import { runPython } from './python.js';

export const FASHION_FOLDER = '/usr/share/datasets/fashion-mnist';
const EMOJI_FOLDER = 'node_modules/@lobehub/fluent-emoji-3d/assets';

export interface PreparedImages {
  /** .npy of all of them, [N, S, S, C]. */
  path: string;
  hash: string;
  /** .npy of those that are measured against and reconstructed, and the same in memory. */
  realPath: string;
  real: ImageBatch;
  /** TorchScript files of quality/peers/classifier.py; a set need not have one. */
  classifier?: { features: string; kinds: string };
}

export interface SetOptions {
  /** Where sets are kept, with their classifier; made when missing. */
  folder: string;
  /** Folder of Fashion-MNIST's IDX files. */
  fashion: string;
  samples: number;
  /** Python with torch. */
  python: string | undefined;
  threads: number;
  say: (text: string) => void;
  signal: AbortSignal;
}

/** Prepares a set once; later calls find it. Throws DataError when its source is not there. */
export async function openSet(set: SetName, options: SetOptions): Promise<PreparedImages> {
  const { folder, say, samples, signal } = options;
  const source = set.startsWith('fashion') ? fashionFile(options.fashion, 'train-images-idx3') : EMOJI_FOLDER;
  if (!existsSync(source))
    throw new DataError(
      'ERR_SAN_DATA_NOT_FOUND',
      `${source} is not there: ${set.startsWith('fashion') ? "install Debian's dataset-fashion-mnist, or name the folder of its files with --fashion" : 'run npm ci'}`,
      { path: source },
    );
  await ensureFolder(folder);
  const path = join(folder, `${set}.npy`);
  const data = await prepare({ source, out: path, ...formatOf(set) }, { signal });
  const real = await spreadRows(data, samples);
  const realPath = join(folder, `${set}-real-${real.shape[0]}.npy`);
  await writeFileAtomic(realPath, [npyHeader(real.shape), real.data]);
  say(`${set}: ${data.shape[0]} images, ${real.shape[0]} of them measured against`);
  const classifier = await openClassifier(set, path, options);
  return { path, hash: data.hash, realPath, real, classifier };
}

/** Trains the classifier unless it is there. */
async function openClassifier(
  set: SetName,
  images: string,
  options: SetOptions,
): Promise<NonNullable<PreparedImages['classifier']>> {
  const { folder, python, threads, say, signal } = options;
  const out = join(folder, `classifier-${set}`);
  const classifier = { features: join(out, 'features.pt'), kinds: join(out, 'kinds.pt') };
  if (existsSync(classifier.features)) return classifier;
  const labels = await (set.startsWith('fashion')
    ? fashionLabels(set, options)
    : emojiLabelFile(set, options));
  say('training the classifier');
  const args = { '--images': images, ...labels, '--out': out, '--threads': String(threads) };
  await runPython(python, 'classifier.py', Object.entries(args).flat(), { signal, onLine: say });
  return classifier;
}

async function fashionLabels(
  set: SetName,
  { folder, fashion, signal }: SetOptions,
): Promise<Record<string, string>> {
  const testImages = join(folder, `${set}-test.npy`);
  await prepare(
    { source: fashionFile(fashion, 't10k-images-idx3'), out: testImages, ...formatOf(set) },
    { signal },
  );
  return {
    '--labels': fashionFile(fashion, 'train-labels-idx1'),
    '--test-images': testImages,
    '--test-labels': fashionFile(fashion, 't10k-labels-idx1'),
  };
}

/** Of so few images, and some kinds have a tenth of what others have, the classifier needs many turns. */
const EMOJI_EPOCHS = 60;

/** prepare() takes a folder's files in the order of their names. */
async function emojiLabelFile(set: SetName, { folder }: SetOptions): Promise<Record<string, string>> {
  const files = (await readdir(EMOJI_FOLDER)).sort();
  const labels = emojiLabels(files);
  const path = join(folder, `${set}-labels.npy`);
  const rows = Uint8Array.from(labels.flatMap(({ kind, fold }) => [kind, fold]));
  await writeFileAtomic(path, [npyHeader([labels.length, 2]), rows]);
  return { '--labels': path, '--epochs': String(EMOJI_EPOCHS) };
}

const fashionFile = (folder: string, name: string): string => join(folder, `${name}-ubyte.gz`);
