/** From the files of an archive to the entries of a source. */
import { printable } from '../../shown.js';
import { IMAGE_KINDS, imageKind } from '../kind.js';
import type { EncodedItem, SourceEntry } from '../source.js';
import { type FileFormat, FORMAT_HEAD_BYTES, fileFormat } from './format.js';

/** Largest image file in bytes: 100 megapixels of four 16-bit channels fit, uncompressed. */
export const MAX_FILE_BYTES = 2 ** 30;
export const TOO_LARGE = 'it is larger than 1 GiB';

const NO_IMAGE = `it is not an image of a known kind (${IMAGE_KINDS.join(', ')})`;

/** What is known of an entry before its content is read. */
export interface EntryHead {
  index: number;
  name: string;
  label?: number | string | undefined;
}

/** An item if `bytes` begin as an image file, else a named skip. */
export function encodedEntry(head: EntryHead, bytes: Uint8Array): SourceEntry {
  if (imageKind(bytes) === undefined) return skippedEntry(head, noImageReason(bytes, bytes.length));
  const item: EncodedItem = { form: 'encoded', index: head.index, name: head.name, bytes };
  return head.label === undefined ? item : { ...item, label: head.label };
}

export function skippedEntry({ index, name }: EntryHead, reason: string): SourceEntry {
  return { form: 'skipped', index, path: name, reason };
}

/** Why a file of `size` bytes that begins like `head` is not an image. */
export function noImageReason(head: Uint8Array, size: number): string {
  return size === 0 ? 'it is empty' : formatReason(fileFormat(head.subarray(0, FORMAT_HEAD_BYTES), size));
}

/** Why a file of this format is not an image. */
export function formatReason({ image, container, gzipped }: FileFormat): string {
  if (image !== undefined) return `it is a gzipped ${image} image; unpack it`;
  if (container === undefined) return NO_IMAGE;
  if (container === 'IDX labels') return 'it is an IDX file of labels';
  const article = container === 'IDX' ? 'an' : 'a';
  return `it is ${article} ${gzipped ? 'gzipped ' : ''}${container} file, a source of its own`;
}

/** Files that systems and programs leave behind: passed over in silence, as in a folder. */
export const isHidden = (name: string): boolean =>
  name
    .split('/')
    .some((part) => (part.startsWith('.') && part !== '.' && part !== '..') || part === '__MACOSX');

/** What is wrong with a name in an archive. Nothing is ever written under it; an honest archive has no such names. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'it has no name';
  if (/^(\/|[a-z]:)/i.test(name)) return 'its name is absolute';
  if (name.split('/').includes('..')) return 'its name leads out of the archive';
  return undefined;
}

/** A name in an archive without "./", as `tar cf archive .` has it, and harmless in a terminal and in a list of lines. */
export const shownName = (name: string): string => printable(name.replace(/^(\.\/)+/, ''));

/** The name of the folder that an entry of an archive lies in; undefined at the top. */
export function folderLabel(name: string): string | undefined {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.at(-2);
}
