/** A run that is continued trains the steps behind its checkpoint again: their events must not be there twice. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OutputError } from '../../errors.js';
import { fileErrorReason, writeFileAtomic } from '../../files.js';
import { stepOfEvent } from './event.js';
import { encodeRecord, readRecords } from './record.js';

/**
 * Removes from the event files in `folder` all events of steps after `lastStep`, and ends that are cut off; one
 * record is in memory at a time. A file without events left is removed. Gives whether event files stay. Throws
 * OutputError.
 */
export async function removeEventsAfter(folder: string, lastStep: number): Promise<boolean> {
  let stay = false;
  for (const name of await attempt(folder, () => readdir(folder))) {
    if (!name.includes('.tfevents.')) continue;
    const path = join(folder, name);
    const { size, sizeKept, kept } = await attempt(path, () => measure(path, lastStep));
    // The first record is the version of the format.
    if (kept < 2) await attempt(path, () => rm(path));
    else if (sizeKept < size) await attempt(path, () => writeFileAtomic(path, keptRecords(path, lastStep)));
    stay ||= kept >= 2;
  }
  return stay;
}

async function measure(path: string, lastStep: number) {
  const { size } = await stat(path);
  let [kept, sizeKept] = [0, 0];
  for await (const record of keptRecords(path, lastStep)) {
    kept++;
    sizeKept += record.length;
  }
  return { size, sizeKept, kept };
}

async function* keptRecords(path: string, lastStep: number): AsyncGenerator<Uint8Array, void, void> {
  for await (const bytes of readRecords(path)) if (stepOf(bytes) <= lastStep) yield encodeRecord(bytes);
}

/** What is no event is not ours to remove. */
function stepOf(bytes: Uint8Array): number {
  try {
    return stepOfEvent(bytes);
  } catch {
    return 0;
  }
}

async function attempt<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof OutputError) throw error;
    throw new OutputError(`cannot use ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
  }
}
