/** Opens whatever holds images. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { DataError } from '../../errors.js';
import { fileErrorReason } from '../../files.js';
import { findImages } from '../folder.js';
import type { ImageSource } from '../source.js';
import { asDataError, explained, Fault } from './fault.js';
import { folderSource } from './folder.js';
import { type FileFormat, readFormat } from './format.js';
import { openNpy } from './npy.js';
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
 * Opens the images at `path`, told by content: a folder of image files, a zip or tar archive, an .npy file.
 *
 * Throws DataError: ERR_SAN_DATA_NOT_FOUND when there is nothing at `path`, ERR_SAN_DATA_FORMAT when it is nothing that
 * images are read from or is damaged as a whole. A source without a usable image is no error here.
 */
export async function openSource(path: string, options: OpenOptions = {}): Promise<ImageSource> {
  const { signal, maxPixels = 100_000_000 } = options;
  signal?.throwIfAborted();
  const found = await stat(path).catch((error: unknown) => {
    const reason = fileErrorReason(error);
    throw new DataError(
      'ERR_SAN_DATA_NOT_FOUND',
      `cannot find the data ${path}: ${reason}`,
      { path },
      { cause: error },
    );
  });
  if (found.isDirectory()) return folderSource(path, await findImages(path, signal));
  if (!found.isFile()) {
    throw new DataError('ERR_SAN_DATA_FORMAT', `the data ${path} is neither a folder nor a file`, { path });
  }
  const format = await explained(path, signal, () => readFormat(path));
  return openFile(path, format, { signal, maxPixels });
}

async function openFile(path: string, format: FileFormat, options: FileOptions): Promise<ImageSource> {
  const { signal } = options;
  const { container, gzipped } = format;
  switch (container) {
    case 'zip':
      if (!gzipped) return openZip(path, signal);
      break;
    case 'tar':
      return openTar(path, gzipped, signal);
    case 'npy':
      return openNpy(path, { ...options, gzipped });
  }
  throw asDataError(path, new Fault(refusal(path, format)), signal);
}

function refusal(path: string, { image, container, gzipped }: FileFormat): string {
  if (image !== undefined && !gzipped) return `it is a single ${image} image; give the folder that it is in`;
  if (gzipped)
    return `its gzip data holds ${container ?? image ?? 'nothing that images are read from'}; unpack it`;
  return `${basename(path)} is not a file that images are read from`;
}
