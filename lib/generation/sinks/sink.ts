/** Where generated images go. */
import type { InferencePrecision } from '../../native.js';
import type { IndexedImages, IndexRange } from '../stream.js';

/** One set of images: what makes two files of it the same. */
export interface ImageSet {
  seed: number;
  startIndex: number;
  count: number;
  /** null for none. */
  truncation: number | null;
  /** SHA-256 that the checkpoint carries, and its step. */
  checkpoint: string;
  step: number;
  precision: InferencePrecision;
  imageSize: number;
  imageChannels: number;
}

export interface Sink {
  /** What is still to be drawn, in ascending order. */
  readonly missing: readonly IndexRange[];
  /** Takes the next images of `missing`, and keeps no reference to them. */
  write(images: IndexedImages): Promise<void>;
  /** After the last image: the set is whole and on the disk. */
  finish(): Promise<void>;
  /** Instead of finish(): what was written stays for a later run to go on from. */
  suspend(): Promise<void>;
}

/** Name of an image, as WebDataset numbers its samples. */
export const imageName = (index: number): string => `${String(index).padStart(9, '0')}.png`;

/** How many images of `ranges` there are. */
export const countOf = (ranges: readonly IndexRange[]): number =>
  ranges.reduce((sum, { count }) => sum + count, 0);
