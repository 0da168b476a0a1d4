/**
 * Images in a tar archive, plain or gzipped, in the archive's order. WebDataset shards are such archives: neighbouring
 * members whose names are equal up to the first dot belong together, and a .cls, .json or .txt among them says the
 * label of the others.
 */

import { imageKind } from '../kind.js';
import type { ReadOptions, SourceEntry } from '../source.js';
import {
  encodedEntry,
  folderLabel,
  isHidden,
  MAX_FILE_BYTES,
  nameFault,
  noImageReason,
  shownName,
  skippedEntry,
  TOO_LARGE,
} from './entry.js';
import { asDataError, explained } from './fault.js';
import { fileFacts, fingerprintOf } from './fingerprint.js';
import { FORMAT_HEAD_BYTES } from './format.js';
import { isLabelFile, labelFrom } from './sample-label.js';
import type { CountableSource } from './several.js';
import { type Member, tarMembers } from './tar-reader.js';

/** Members looked at to tell a WebDataset shard from another archive. */
const MEMBERS_LOOKED_AT = 16;
/** A group is closed when it has so many members or so many bytes, so that its memory is bounded. */
const MAX_GROUP_MEMBERS = 16;
const MAX_GROUP_BYTES = 2 ** 26;
/** From this size on the beginning of a member is looked at before the whole of it is read. */
const LARGE_BYTES = 2 ** 20;
const MAX_LABEL_BYTES = 2 ** 20;

export async function openTar(
  path: string,
  gzipped: boolean,
  signal: AbortSignal | undefined,
): Promise<CountableSource> {
  const facts = await fileFacts(path);
  const labelled = await explained(path, signal, () => hasLabelFiles(path, gzipped, signal));
  return {
    kind: labelled ? 'WebDataset' : 'tar',
    path,
    fingerprint: fingerprintOf('tar', [facts]),
    skipped: [],
    entries: (options) => read(path, gzipped, options),
    countEntries: (signal) => countEntries(path, gzipped, signal),
  };
}

/** By the headers alone. */
async function countEntries(
  path: string,
  gzipped: boolean,
  signal: AbortSignal | undefined,
): Promise<number> {
  let count = 0;
  await explained(path, signal, async () => {
    for await (const group of groups(path, gzipped, Number.POSITIVE_INFINITY, signal)) {
      count += group === 'unmarked' ? 1 : entriesOf(group).length;
    }
  });
  return count;
}

async function hasLabelFiles(
  path: string,
  gzipped: boolean,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let members = 0;
  for await (const group of groups(path, gzipped, Number.POSITIVE_INFINITY, signal)) {
    if (group === 'unmarked') break;
    if (group.length > 1 && group.some(({ name }) => isLabelFile(name))) return true;
    members += group.length;
    if (members >= MEMBERS_LOOKED_AT) break;
  }
  return false;
}

interface GroupMember {
  name: string;
  /** Unless it was passed over. */
  content?: Uint8Array | undefined;
  /** Why there is no content. */
  fault?: string | undefined;
}

async function* read(
  path: string,
  gzipped: boolean,
  { from = 0, signal }: ReadOptions = {},
): AsyncGenerator<SourceEntry> {
  try {
    let index = 0;
    for await (const group of groups(path, gzipped, from, signal)) {
      if (group === 'unmarked') {
        if (index >= from) {
          yield skippedEntry(
            { index, name: 'end' },
            'the mark at the end of the archive is missing; it may be cut short',
          );
        }
        continue;
      }
      const entries = entriesOf(group);
      const label =
        entries.length < group.length ? labelFrom(group.filter((one) => !entries.includes(one))) : undefined;
      for (const { name, content, fault } of entries) {
        const head = { index: index++, name: shownName(name), label: label ?? folderLabel(name) };
        if (head.index < from) continue;
        yield content === undefined
          ? skippedEntry(head, fault ?? 'it was not read')
          : encodedEntry(head, content);
      }
    }
  } catch (error) {
    throw asDataError(path, error, signal);
  }
}

/** Label files stand for themselves only where there is nothing that they could label. */
function entriesOf<T extends { name: string }>(group: readonly T[]): T[] {
  const others = group.filter(({ name }) => !isLabelFile(name));
  return others.length > 0 ? others : [...group];
}

/**
 * Neighbouring members of one key. The content of those that can only be entries before `from` is passed over. After an
 * archive without a mark at its end comes "unmarked".
 */
async function* groups(
  path: string,
  gzipped: boolean,
  from: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<GroupMember[] | 'unmarked'> {
  let group: GroupMember[] = [];
  let bytes = 0;
  let entriesBefore = 0;
  const members = tarMembers(path, gzipped, signal);
  try {
    for (;;) {
      const { value: member, done } = await members.next();
      if (done) {
        if (group.length > 0) yield group;
        if (!member.marked) yield 'unmarked';
        return;
      }
      if (member.isFolder || isHidden(member.name)) continue;
      const first = group[0];
      const full = group.length === MAX_GROUP_MEMBERS || bytes + member.size > MAX_GROUP_BYTES;
      if (first !== undefined && (full || keyOf(first.name) !== keyOf(member.name))) {
        yield group;
        entriesBefore += entriesOf(group).length;
        group = [];
        bytes = 0;
      }
      const passedOver = entriesBefore + MAX_GROUP_MEMBERS <= from;
      group.push(passedOver ? { name: member.name } : await load(member));
      bytes += member.size;
    }
  } finally {
    await members.return({ marked: true });
  }
}

/** WebDataset's key of a sample: the name up to the first dot after the last "/". */
function keyOf(name: string): string {
  const dot = name.indexOf('.', name.lastIndexOf('/') + 1);
  return dot < 0 ? name : name.slice(0, dot);
}

async function load(member: Member): Promise<GroupMember> {
  const { name, size } = member;
  const skip = (fault: string): GroupMember => ({ name, fault });
  const fault = nameFault(name) ?? member.fault;
  if (fault !== undefined) return skip(fault);
  if (size > MAX_FILE_BYTES) return skip(TOO_LARGE);
  if (isLabelFile(name)) {
    return size > MAX_LABEL_BYTES ? skip('it is a text file') : { name, content: await member.read() };
  }
  if (size < LARGE_BYTES) return { name, content: await member.read() };
  const head = await member.readStart(FORMAT_HEAD_BYTES);
  if (imageKind(head) === undefined) return skip(noImageReason(head, size));
  const content = new Uint8Array(size);
  content.set(head);
  content.set(await member.read(), head.length);
  return { name, content };
}
