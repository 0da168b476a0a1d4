/** Checks of the dimensions that the header of a file of pixels announces. */
import { MAX_INFLATION } from './byte-reader.js';
import { Fault } from './fault.js';

/** N images of height × width × channels unsigned bytes. */
export interface PixelShape {
  count: number;
  height: number;
  width: number;
  channels: 1 | 3 | 4;
}

/** How a file of pixels is opened. */
export interface PixelFileOptions {
  gzipped: boolean;
  /** Largest image that is read. */
  maxPixels: number;
  signal: AbortSignal | undefined;
}

export interface PixelFile extends Omit<PixelFileOptions, 'signal'> {
  /** On the disk. */
  fileBytes: number;
  headerBytes: number;
}

/** The shape that `dimensions`, (N, height, width) or (N, height, width, channels), stand for. Throws Fault. */
export function pixelShape(dimensions: readonly number[], file: PixelFile): PixelShape {
  const text = dimensions.join('×');
  if (dimensions.length !== 3 && dimensions.length !== 4) {
    throw new Fault(`it has ${dimensions.length} dimensions${text && ` (${text})`}; images have 3 or 4`);
  }
  const [count = 0, height = 0, width = 0, channels = 1] = dimensions;
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new Fault(`its dimensions are ${text}; the last should be 1, 3 or 4 channels`);
  }
  // Not a number where one is beyond all numbers and the other 0.
  if (count > 0 && !(height * width > 0)) throw new Fault(`its images have ${height}×${width} pixels`);
  if (height * width > file.maxPixels) {
    throw new Fault(
      `its images have ${height}×${width} pixels; at most ${file.maxPixels / 1e6} million are read`,
    );
  }
  // May be rounded when it is beyond 2^53, but is then far above any file's size.
  const announced = file.headerBytes + count * height * width * channels;
  if (announced > (file.gzipped ? file.fileBytes * MAX_INFLATION : file.fileBytes)) {
    throw new Fault(`it announces ${count} images of ${height}×${width} pixels, more than it can hold`);
  }
  return { count, height, width, channels };
}
