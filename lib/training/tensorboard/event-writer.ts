/** Scalars and pictures of a run for TensorBoard. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ensureFolder, GrowingFile } from '../../files.js';
import { type Event, encodeEvent, FILE_VERSION, SESSION_START } from './event.js';
import { removeEventsAfter } from './purge.js';
import { encodeRecord } from './record.js';

/** Colour space of a picture that says itself what it is: TensorBoard looks into the PNG. */
const RGB = 3;
/** While so many bytes wait for room on the disk, no more pictures join them: they are in samples/ as well. */
const MOST_WAITING = 2 ** 25;
/** Tells apart the files that one process begins within one second. */
let files = 0;

/**
 * Writes one event file of a run, from the first flush on: a new one each time a run is continued. Events wait in
 * memory until they are flushed, and for the next flush when the disk is full: none is lost or written twice.
 */
export class EventWriter {
  /** The event file. */
  readonly path: string;
  private readonly file: GrowingFile;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  /** A file begins with its first value: a run that takes no step leaves none. */
  private begun = false;
  private flushing: Promise<void> = Promise.resolve();

  private constructor(path: string) {
    this.path = path;
    this.file = new GrowingFile(path);
  }

  /**
   * Makes `folder` where it is missing, and removes from the files in it the events of steps after `keepUpTo`, the
   * step that the run goes on from, and what a kill has torn. Throws OutputError.
   */
  static async open(folder: string, { keepUpTo }: { keepUpTo: number }): Promise<EventWriter> {
    await ensureFolder(folder);
    const continues = await removeEventsAfter(folder, keepUpTo);
    // TensorBoard reads a folder's files in the order of their names.
    const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
    const own = `${process.pid}.${String(files++).padStart(6, '0')}`;
    const name = `events.out.tfevents.${seconds}.${hostname()}.san-native.${own}`;
    const writer = new EventWriter(join(folder, name));
    writer.push({ wallTime: now(), step: 0, fileVersion: FILE_VERSION });
    // For a TensorBoard that has the removed events in memory.
    if (continues)
      writer.push({ wallTime: now(), step: keepUpTo + 1, sessionLog: { status: SESSION_START } });
    return writer;
  }

  /** Values under their tags, such as "losses/lgd". @param wallTime Seconds since 1970; default now. */
  scalars(step: number, values: Readonly<Record<string, number>>, wallTime = now()): void {
    const value = Object.entries(values).map(([tag, simpleValue]) => ({ tag, simpleValue }));
    if (value.length > 0) this.add({ wallTime, step, summary: { value } });
  }

  /** A PNG of `width` by `height` pixels. */
  image(step: number, tag: string, png: Uint8Array, width: number, height: number): void {
    if (this.waitingBytes > MOST_WAITING) return;
    const image = { width, height, colorspace: RGB, encodedImageString: png };
    this.add({ wallTime: now(), step, summary: { value: [{ tag, image }] } });
  }

  /** Writes what waits. Throws OutputError; it then goes with the next flush. */
  flush(): Promise<void> {
    this.flushing = this.flushing.catch(() => {}).then(() => this.write());
    return this.flushing;
  }

  /** The last flush; nothing may follow. Throws OutputError. */
  close(): Promise<void> {
    return this.flush();
  }

  private add(event: Event): void {
    this.begun = true;
    this.push(event);
  }

  private push(event: Event): void {
    const record = encodeRecord(encodeEvent(event));
    this.waiting.push(record);
    this.waitingBytes += record.length;
  }

  private async write(): Promise<void> {
    const { waiting } = this;
    if (!this.begun || waiting.length === 0) return;
    const bytes = Buffer.concat(waiting);
    const count = waiting.length;
    await this.file.append(bytes);
    this.waiting = this.waiting.slice(count);
    this.waitingBytes -= bytes.length;
  }
}

const now = (): number => Date.now() / 1000;
