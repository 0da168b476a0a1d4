/** From a network into a sink, with what is there already left out. */
import { OutputError } from '../errors.js';
import { countOf, type ImageSet, type Sink } from './sinks/sink.js';
import { type Drawer, type DrawOptions, drawRanges, type IndexedImages } from './stream.js';

export interface GenerateProgress {
  /** `checking` looks at the images that a folder holds; `drawing` makes those that are missing. */
  phase: 'checking' | 'drawing';
  /** Images of the phase. */
  done: number;
  total: number;
  /** Of the drawing so far; 0 before its first batch. */
  imagesPerSecond: number;
}

export interface GenerateControl {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: GenerateProgress) => void) | undefined;
  /** Each batch that is drawn, before it is written; valid beyond the call. */
  onImages?: ((images: IndexedImages) => void) | undefined;
}

export interface GenerateSummary {
  /** Images of the set. */
  count: number;
  /** Of these drawn now, and there before. */
  drawn: number;
  kept: number;
  /** Of drawing and writing. */
  seconds: number;
}

/** Seconds over which the rate is taken. */
const WINDOW = 20;

/**
 * Draws what the sink lacks and finishes it. On an abort or error the sink keeps what it has, where it can, and the
 * signal's reason or the error is thrown.
 */
export async function drawInto(
  open: (onCheck: (done: number, total: number) => void) => Promise<Sink>,
  drawer: Drawer,
  set: ImageSet,
  options: DrawOptions,
  { signal, onProgress, onImages }: GenerateControl,
): Promise<GenerateSummary> {
  const sink = await open((done, total) =>
    onProgress?.({ phase: 'checking', done, total, imagesPerSecond: 0 }),
  );
  const total = countOf(sink.missing);
  const begun = performance.now();
  const rate = new Rate();
  let done = 0;
  try {
    if (total > 0) onProgress?.({ phase: 'drawing', done, total, imagesPerSecond: 0 });
    for await (const images of drawRanges(drawer, sink.missing, { ...options, signal })) {
      onImages?.(images);
      await sink.write(images);
      done += images.shape[0];
      onProgress?.({ phase: 'drawing', done, total, imagesPerSecond: rate.at(done) });
    }
    await sink.finish();
  } catch (error) {
    // The first error tells more than what follows from it.
    await sink.suspend().catch(() => {});
    throw error instanceof OutputError && error.details.path !== undefined
      ? new OutputError(
          `${error.message}; what is there stays: the same call draws the rest`,
          error.details,
          { cause: error },
        )
      : error;
  }
  const { count } = set;
  return { count, drawn: total, kept: count - total, seconds: (performance.now() - begun) / 1000 };
}

/** Images a second over the last while. */
class Rate {
  private readonly marks: [time: number, done: number][] = [[performance.now(), 0]];

  at(done: number): number {
    const now = performance.now();
    this.marks.push([now, done]);
    while (this.marks.length > 2 && (this.marks[1]?.[0] ?? now) < now - WINDOW * 1000) this.marks.shift();
    const [time, before] = this.marks[0] ?? [now, done];
    return ((done - before) / Math.max(now - time, 1)) * 1000;
  }
}
