/** What every kind of data source gives, whatever its files look like: lib/data/sources has the kinds. */
import type { Skipped } from './folder.js';

/** One image as it lies in the source. */
export type SourceItem = EncodedItem | PixelItem;

interface ItemHead {
  /** Place in the source, counted from 0, those counted that turn out to be unusable. */
  index: number;
  /** Path in the folder or archive, or "row 17"; for messages and manifests. */
  name: string;
  /** Class of the image, where the source says one: a number, or a name. */
  label?: number | string | undefined;
}

/** An image file, still encoded; its bytes tell its kind. */
export interface EncodedItem extends ItemHead {
  form: 'encoded';
  bytes: Uint8Array;
}

/** Plain 8-bit pixels [height, width, channels]. */
export interface PixelItem extends ItemHead {
  form: 'pixels';
  data: Uint8Array;
  width: number;
  height: number;
  channels: 1 | 3 | 4;
}

/** What cannot be used is a Skipped with its place; the others are items. */
export type SourceEntry = SourceItem | (Skipped & { form: 'skipped'; index: number });

export interface ReadOptions {
  /** Begin at the entry of this index. Entries before it may be passed over without being read. */
  from?: number | undefined;
  /** After an abort the iteration throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface ImageSource {
  /** Such as "folder", "zip", "tar", "WebDataset", "IDX", "CIFAR-10", "npy", "Parquet". */
  kind: string;
  /** As the user named it. */
  path: string;
  /** Entries in all, if that can be known without reading them. */
  count?: number | undefined;
  /**
   * A hash, in hexadecimal, of what identifies the content cheaply: names, sizes and modification times of the files.
   * Equal hashes mean that nothing was touched.
   */
  fingerprint: string;
  /**
   * All entries in an order that depends on the content alone, each read when it is asked for: memory stays bounded,
   * whatever the size of the source. Throws DataError for a source that is damaged as a whole.
   */
  entries(options?: ReadOptions): AsyncIterable<SourceEntry>;
  /**
   * Where all images lie in the file at `path` as plain pixels [N, height, width, channels], without gaps, for those who
   * would map it into memory.
   */
  mapped?: { offset: number; shape: [number, number, number, number] } | undefined;
  /** Files and folders that hold no images, known from the start. */
  skipped: readonly Skipped[];
}
