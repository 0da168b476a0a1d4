/** Opens whatever holds images. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '../../errors.js';
import { fileErrorReason } from '../../files.js';
import { findImages, isOfContainers } from '../folder.js';
import type { ImageSource } from '../source.js';
import { cifarNameFiles, openCifar } from './cifar.js';
import { asDataError, explained, Fault } from './fault.js';
import { folderSource } from './folder.js';
import { type FileFormat, readFormat } from './format.js';
import { openIdx } from './idx.js';
import { openNpy } from './npy.js';
import { openParquet } from './parquet.js';
import { expandPattern, isPattern, type NamedFile } from './pattern.js';
import { type CountableSource, type Part, severalSources } from './several.js';
import { openTar } from './tar.js';
import { openZip } from './zip.js';

export interface OpenOptions {
  /** After an abort the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Largest image in pixels that is read from a source of plain pixels. Default 100,000,000. */
  maxPixels?: number | undefined;
}

interface FileOptions {
  signal: AbortSignal | undefined;
  maxPixels: number;
}

/**
 * Opens the images at `path`, told by content: a folder of image files; a zip or tar archive, or WebDataset shards; an
 * IDX file, a CIFAR-10 or CIFAR-100 batch, an .npy or a Parquet file; a folder of files of one of these kinds; or a
 * pattern for such files, "shards-*.tar" or "shards-{000..009}.tar". IDX, CIFAR, .npy and tar files may be gzipped.
 *
 * Throws DataError: ERR_SAN_DATA_NOT_FOUND when there is nothing at `path`, ERR_SAN_DATA_FORMAT when it is nothing that
 * images are read from or is damaged as a whole. A source without a usable image is no error here.
 */
export async function openSource(path: string, options: OpenOptions = {}): Promise<ImageSource> {
  const { signal, maxPixels = 100_000_000 } = options;
  signal?.throwIfAborted();
  const fileOptions = { signal, maxPixels };
  const found = await stat(path).catch((error: unknown) =>
    isPattern(path) ? undefined : notFound(path, error),
  );
  if (found === undefined) {
    const files = await explained(path, signal, () => expandPattern(path));
    if (files.length === 0) return notFound(path, new Error('no file has a name like that'));
    return severalSources(path, await openParts(path, await withFormats(files), fileOptions));
  }
  if (found.isDirectory()) return openFolder(path, fileOptions);
  if (!found.isFile()) {
    throw new DataError('ERR_SAN_DATA_FORMAT', `the data ${path} is neither a folder nor a file`, { path });
  }
  return openFile(path, await explained(path, signal, () => readFormat(path)), fileOptions);
}

function notFound(path: string, error: unknown): never {
  const reason = fileErrorReason(error);
  throw new DataError(
    'ERR_SAN_DATA_NOT_FOUND',
    `cannot find the data ${path}: ${reason}`,
    { path },
    { cause: error },
  );
}

/** A folder that has no image files of its own may hold files that hold images, all of one kind. */
async function openFolder(path: string, options: FileOptions): Promise<ImageSource> {
  const listing = await findImages(path, options.signal);
  if (!isOfContainers(listing)) return folderSource(path, listing);
  const { containers, skipped } = listing;
  const files = containers.map((file) => ({
    name: file.path,
    path: join(path, file.path),
    format: file.format,
  }));
  const source = severalSources(path, await openParts(path, files, options));
  const used = new Set([
    ...files.map(({ name }) => name),
    ...files.flatMap(({ name }) => cifarNameFiles(name)),
  ]);
  return { ...source, skipped: [...skipped.filter((one) => !used.has(one.path)), ...source.skipped] };
}

interface FormattedFile extends NamedFile {
  format: FileFormat;
}

async function withFormats(files: readonly NamedFile[]): Promise<FormattedFile[]> {
  const formatted: FormattedFile[] = [];
  for (const file of files) {
    const format = await readFormat(file.path).catch((error: unknown) => notFound(file.path, error));
    formatted.push({ ...file, format });
  }
  return formatted;
}

/** Opens files that must all be of one kind; those of labels go with the images that they belong to. */
async function openParts(
  path: string,
  files: readonly FormattedFile[],
  options: FileOptions,
): Promise<Part[]> {
  const holding = files.filter(({ format }) => format.container !== 'IDX labels');
  const counts = new Map<string, number>();
  for (const { format } of holding) {
    const kind = format.container ?? 'other';
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  if (counts.size > 1) {
    const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
    throw asDataError(
      path,
      new Fault(`it holds files of several kinds (${kinds}); give one file, or a pattern such as "*.tar"`),
      options.signal,
    );
  }
  const parts: Part[] = [];
  for (const { name, path: file, format } of holding) {
    options.signal?.throwIfAborted();
    parts.push({ name, source: await openFile(file, format, options) });
  }
  return parts;
}

async function openFile(path: string, format: FileFormat, options: FileOptions): Promise<CountableSource> {
  const { signal } = options;
  const { container, gzipped } = format;
  switch (container) {
    case 'zip':
      if (!gzipped) return openZip(path, signal);
      break;
    case 'Parquet':
      if (!gzipped) return openParquet(path, signal);
      break;
    case 'tar':
      return openTar(path, gzipped, signal);
    case 'npy':
      return openNpy(path, { ...options, gzipped });
    case 'IDX':
      return openIdx(path, { ...options, gzipped });
    case 'CIFAR-10':
    case 'CIFAR-100':
      return openCifar(path, format, signal);
  }
  throw asDataError(path, new Fault(refusal(format)), signal);
}

function refusal({ image, container, gzipped }: FileFormat): string {
  if (container === 'IDX labels') return 'it holds labels, not images; give the file of images';
  if (gzipped) return `what it has compressed is ${withArticle(container ?? image)}; unpack it`;
  if (image !== undefined) return `it is a single ${image} image; give the folder that it is in`;
  return 'it is none of the files that images are read from: zip, tar, IDX, CIFAR, npy, Parquet';
}

const withArticle = (kind: string | undefined): string =>
  kind === undefined ? 'nothing that images are read from' : `a ${kind} file`;
