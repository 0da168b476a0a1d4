import { constants } from 'node:buffer';
import type { Writable } from 'node:stream';
import {
  type DamagedCheckpoint,
  type LoadedCheckpoint,
  loadCheckpoint,
  networkTensors,
} from '../checkpoint/checkpoint.js';
import { type Config, MOST_THREADS, modelOptions } from '../config/schema.js';
import { requireDevice } from '../device.js';
import { SanError } from '../errors.js';
import type { MeasureControl } from '../metrics/blocks.js';
import {
  type ImageBatch,
  type InferencePrecision,
  type LatentBatch,
  loadAddon,
  type NativeNetwork,
  type SampleOptions,
  type Truncation,
} from '../native.js';
import { requireControl, requireKeys, requirePath, requireSignal, requireWhole } from '../options.js';
import { drawWay, type Way, type WayOptions } from '../reverser/interpolate.js';
import { type NearestImages, type NearestImagesOptions, nearestImages } from '../reverser/nearest-images.js';
import { type ImageScore, imageScores, requireReference, type ScoreReference } from '../reverser/scores.js';
import { refuseOverTrainingData } from '../training/recorded-data.js';
import {
  requireBatch,
  requireBatchSize,
  requireFinite,
  requirePrecision,
  requireRange,
  requireTarget,
  requireTruncation,
} from './checks.js';
import { drawInto, type GenerateControl, type GenerateSummary } from './generate-to.js';
import { isPngFolder, openSink } from './sinks/open.js';
import type { ImageSet } from './sinks/sink.js';
import { type Drawer, type DrawOptions, drawRanges, type IndexedImages, type IndexRange } from './stream.js';
import { registerUse, Uses } from './uses.js';

export interface LoadOptions {
  /**
   * CPU threads that compute, and most threads that write PNG files; default one for each physical core that the process
   * may use (docs/threads.md).
   */
  threads?: number | undefined;
  /**
   * What convolutions multiply; default fp32. bf16 is faster on CPUs that have it (avx512_bf16), and its images differ a
   * little: docs/generation.md. A CPU without it is refused with ERR_SAN_OPTIONS.
   */
  precision?: InferencePrecision | undefined;
  /** auto, cpu, cuda or cuda:N; default auto: the first CUDA device, or the processor where there is none. */
  device?: string | undefined;
}

export interface GenerateOptions extends SampleOptions, Truncation {
  /** Ends the work after the batch under way; the signal's reason is thrown. */
  signal?: AbortSignal | undefined;
}

/** Images in a batch; default as many as take a quarter of a second. Does not change the images. */
export interface BatchSize {
  batchSize?: number | undefined;
}

export type GenerateToOptions = SampleOptions & Truncation & BatchSize;

export interface StreamOptions extends Omit<GenerateOptions, 'count'>, BatchSize {
  /** Default no end. */
  count?: number | undefined;
}

/** What tells which images are meant. */
const SET_KEYS = ['count', 'seed', 'startIndex', 'truncation'] as const;

/** Items in one call of the native half. */
const MOST_ITEMS = 2 ** 31 - 1;

/** Throws ERR_SAN_OPTIONS, with what to do, where no array holds `count` items of so many bytes. */
function requireRoom(count: number, bytes: number, remedy: string): void {
  // From Node 22 on an array may be larger than any memory.
  const most = Math.min(MOST_ITEMS, Math.floor(constants.MAX_LENGTH / bytes));
  if (count <= most) return;
  const message = `count = ${count}: so many do not fit in one array of at most ${most}; ${remedy}`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field: 'count', value: count });
}

/** Memory for `count` items of so many bytes. Throws ERR_SAN_OUT_OF_MEMORY. */
function allocate(count: number, bytes: number, remedy: string): Uint8Array {
  try {
    return new Uint8Array(count * bytes);
  } catch (cause) {
    const message = `count = ${count}: there is no memory for so many in one array; ${remedy}`;
    throw new SanError('ERR_SAN_OUT_OF_MEMORY', message, { field: 'count', value: count }, { cause });
  }
}

/**
 * A trained pair of networks: draws images from latents and finds the latents of images (spec section 4). Holds
 * native memory until dispose(), which `await using` calls by itself. Methods may overlap; they run in order.
 */
export class San {
  /** The settings it was trained with. */
  readonly config: Config;
  /** Training steps behind it. */
  readonly step: number;
  /** The checkpoint file it came from. */
  readonly path: string;
  /** Newer checkpoints of the run that were passed over because they are damaged, newest first. */
  readonly damaged: DamagedCheckpoint[];
  /** SHA-256 that the checkpoint carries. */
  readonly checksum: string;
  /** What convolutions multiply. */
  readonly precision: InferencePrecision;
  private readonly network: NativeNetwork;
  /** As asked for. */
  private readonly threads: number | undefined;
  /** undefined in the one that works for calls under way. */
  private readonly uses: Uses | undefined;
  /** The same networks for what calls under way are made of, which works until they have ended. */
  private readonly inner: San;
  private disposal: Promise<void> | undefined;

  private constructor(
    checkpoint: LoadedCheckpoint,
    { threads, precision }: { threads: number | undefined; precision: InferencePrecision },
    network: NativeNetwork,
    uses?: Uses,
  ) {
    this.config = checkpoint.config;
    this.step = checkpoint.step;
    this.path = checkpoint.path;
    this.damaged = checkpoint.damaged;
    this.checksum = checkpoint.checksum;
    this.precision = precision;
    this.threads = threads;
    this.network = network;
    this.uses = uses;
    this.inner = uses ? new San(checkpoint, { threads, precision }, network) : this;
    registerUse(this, (work) => this.use(work));
  }

  /**
   * Loads a checkpoint file, or the newest whole checkpoint of a run folder.
   * Throws ERR_SAN_OPTIONS, CheckpointError, ERR_SAN_DEVICE, or SetupError when the addon has not been built.
   */
  static async load(runOrCheckpoint: string, options: LoadOptions = {}): Promise<San> {
    requirePath('runOrCheckpoint', runOrCheckpoint);
    requireKeys(options, ['threads', 'precision', 'device']);
    const { threads, precision = 'fp32', device = 'auto' } = options;
    if (threads !== undefined) requireWhole('threads', threads, 1, MOST_THREADS);
    requirePrecision(precision);
    const addon = loadAddon();
    const place = requireDevice(device, addon.info().cuda);
    const checkpoint = await loadCheckpoint(runOrCheckpoint, addon);
    const network = await addon.createNetwork({
      model: modelOptions(checkpoint.config),
      tensors: networkTensors(checkpoint.tensors),
      ...(threads !== undefined && { threads }),
      precision,
      device: place,
    });
    return new San(checkpoint, { threads, precision }, network, new Uses());
  }

  /**
   * What LibTorch warned of since the last call, in any network or trainer of this process; each text once. Tells, say, why a GPU
   * draws without a CUDA graph.
   */
  warnings(): string[] {
    this.requireAlive();
    return loadAddon().warnings();
  }

  /**
   * Draws images startIndex … startIndex + count - 1 of a seed, with the moving average of the generator. Image i
   * of a seed and truncation is the same in any batch, stream or file. Result: 8-bit [count, S, S, C], all in
   * memory. Throws ERR_SAN_OPTIONS, ERR_SAN_OUT_OF_MEMORY, ERR_SAN_DISPOSED.
   */
  async generate(options: GenerateOptions): Promise<ImageBatch> {
    this.requireAlive();
    requireKeys(options, [...SET_KEYS, 'signal']);
    const { count, seed, startIndex = 0, truncation, signal } = options;
    requireWhole('count', count, 1);
    requireRange({ count, seed, startIndex });
    requireTruncation(truncation);
    requireSignal(signal);
    signal?.throwIfAborted();
    const { imageSize, imageChannels } = this.config;
    const remedy = 'take them batch by batch from stream()';
    requireRoom(count, imageSize ** 2 * imageChannels, remedy);
    if (signal === undefined) return this.network.generate({ count, seed, startIndex, truncation });
    const shape: ImageBatch['shape'] = [count, imageSize, imageSize, imageChannels];
    const data = allocate(count, imageSize ** 2 * imageChannels, remedy);
    return this.use(async (inner) => {
      let offset = 0;
      // One native call cannot be ended halfway.
      for await (const images of inner.stream(options)) {
        data.set(images.data, offset);
        offset += images.data.length;
      }
      return { data, shape };
    });
  }

  /**
   * The images of generate(), batch after batch in constant memory: the next batches are computed while one is looked at, three
   * are held at most. Each is 8-bit [N, S, S, C] with the startIndex of its first image, and may be kept. Leaving the
   * loop ends the work. Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED; the latter also at the next batch after dispose().
   */
  stream(options: StreamOptions): AsyncGenerator<IndexedImages, void, undefined> {
    this.requireAlive();
    requireKeys(options, [...SET_KEYS, 'batchSize', 'signal']);
    const { count, seed, startIndex = 0, truncation, batchSize, signal } = options;
    requireRange({ count, seed, startIndex });
    requireTruncation(truncation);
    requireBatchSize(batchSize);
    requireSignal(signal);
    const range = { start: startIndex, count: count ?? Number.MAX_SAFE_INTEGER - startIndex };
    return this.untilDisposed([range], { seed, truncation, batchSize, signal });
  }

  /** Whoever has left off without a return() must not keep dispose() waiting for ever. */
  private async *untilDisposed(
    ranges: IndexRange[],
    options: DrawOptions,
  ): AsyncGenerator<IndexedImages, void, undefined> {
    const generate: Drawer['generate'] = async (set) => {
      this.requireAlive();
      return this.network.generate(set);
    };
    for await (const images of drawRanges({ generate }, ranges, options)) {
      this.requireAlive();
      yield images;
    }
  }

  /**
   * Writes the images of generate() to a folder of PNG files, a .tar, .zip or .npy file, or, as bare pixels, into a
   * stream, which stays open. What an earlier call for the same set has left there is kept, after a kill as well; the
   * result has the same bytes as that of an unbroken call. docs/generation.md tells the formats.
   * Throws ERR_SAN_OPTIONS, ERR_SAN_OUTPUT (the place cannot be used, holds other images or is in the data of the run), ERR_SAN_DISPOSED.
   */
  async generateTo(
    target: string | Writable,
    options: GenerateToOptions,
    control: GenerateControl = {},
  ): Promise<GenerateSummary> {
    this.requireAlive();
    requireTarget(target);
    requireKeys(options, [...SET_KEYS, 'batchSize']);
    requireControl(control, ['signal', 'onProgress', 'onImages']);
    const { count, seed, startIndex = 0, truncation, batchSize } = options;
    requireWhole('count', count, 1);
    requireRange({ count, seed, startIndex });
    requireTruncation(truncation);
    requireBatchSize(batchSize);
    const { imageSize, imageChannels } = this.config;
    const { checksum: checkpoint, step, precision, threads } = this;
    const set: ImageSet = {
      ...{ seed, startIndex, count, truncation: truncation ?? null },
      ...{ checkpoint, step, precision, imageSize, imageChannels },
    };
    const { signal } = control;
    signal?.throwIfAborted();
    const syncFileSystem = (path: string) => loadAddon().syncFileSystem({ path });
    return this.use(async () => {
      if (typeof target === 'string')
        await refuseOverTrainingData(target, this.path, 'target', isPngFolder(target) || undefined);
      return drawInto(
        (onCheck) => openSink(target, set, { signal, onCheck, threads, syncFileSystem }),
        this.network,
        set,
        { seed, truncation, batchSize },
        control,
      );
    });
  }

  /**
   * Latents [N, Zc, Sz, Sz] of 8-bit images [N, S, S, C], N >= 1; size and channels must be the network's.
   * Throws ERR_SAN_SHAPE, ERR_SAN_DISPOSED.
   */
  async reverse(images: ImageBatch): Promise<LatentBatch> {
    this.requireAlive();
    const { imageSize, imageChannels } = this.config;
    requireBatch('images', images, Uint8Array, [imageSize, imageSize, imageChannels]);
    return this.network.reverse({ images });
  }

  /**
   * Images [N, S, S, C] of latents [N, Zc, Sz, Sz], N >= 1, all of whose numbers are finite.
   * Throws ERR_SAN_SHAPE, ERR_SAN_OPTIONS, ERR_SAN_DISPOSED.
   */
  async decode(latents: LatentBatch): Promise<ImageBatch> {
    this.requireAlive();
    const { latentChannels, latentSize, imageSize, imageChannels } = this.config;
    requireBatch('latents', latents, Float32Array, [latentChannels, latentSize, latentSize]);
    requireFinite('latents', latents);
    requireRoom(latents.shape[0], imageSize ** 2 * imageChannels, 'decode them in parts');
    return this.network.decode({ latents });
  }

  /** Latents [count, Zc, Sz, Sz] that generate() draws its images from. Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED. */
  async latents(options: SampleOptions & Truncation): Promise<LatentBatch> {
    this.requireAlive();
    requireKeys(options, SET_KEYS);
    const { count, seed, startIndex = 0, truncation } = options;
    requireWhole('count', count, 1);
    requireRange({ count, seed, startIndex });
    requireTruncation(truncation);
    const { latentChannels, latentSize } = this.config;
    requireRoom(count, 4 * latentChannels * latentSize ** 2, 'take them in parts, by startIndex');
    return loadAddon().latents({ count, seed, startIndex, truncation, latentChannels, latentSize });
  }

  /** What comes back of 8-bit images [N, S, S, C]: G(R(x)). Throws ERR_SAN_SHAPE, ERR_SAN_DISPOSED. */
  async reconstruct(images: ImageBatch): Promise<ImageBatch> {
    return this.use(async (inner) => inner.decode(await inner.reverse(images)));
  }

  /**
   * How unlike the images of `reference`, such as scoreReference() gives for the training images, each of N images is:
   * docs/reverser.md has the formulas. Throws ERR_SAN_OPTIONS, ERR_SAN_SHAPE, ERR_SAN_DISPOSED.
   */
  async score(images: ImageBatch, reference: ScoreReference): Promise<ImageScore[]> {
    requireReference(reference);
    return this.use(async (inner) => {
      const latents = await inner.reverse(images);
      return imageScores(images, latents, await inner.decode(latents), reference);
    });
  }

  /**
   * Frames on the way from one image to another: latents on the great circle between both (slerp), each drawn by the
   * generator, at points between which the picture changes evenly. An end is a latent [1, Zc, Sz, Sz], an image
   * { seed, index } that generate() draws, an image [1, S, S, C] or an image file; of the last two the frame is G(R(x)).
   * Result: images [frames, S, S, C], their latents, and where on the way they lie, from 0 to 1. interpolateImages() writes
   * them to files. Throws ERR_SAN_OPTIONS, ERR_SAN_SHAPE, ERR_SAN_DISPOSED, DataError; after an abort the signal's reason.
   */
  async interpolate(options: WayOptions, control: MeasureControl = {}): Promise<Way> {
    return this.use((inner) => drawWay(inner, options, control));
  }

  /**
   * For each of N images [N, S, S, C], generated ones for example, the real images whose latents are nearest to its own, and
   * how near that is among real images: docs/reverser.md tells how to read it. Each call reverses all of the data and
   * holds the latents. findNeighbors() draws a sheet of it. Throws ERR_SAN_OPTIONS, ERR_SAN_SHAPE, ERR_SAN_DISPOSED,
   * DataError; after an abort the signal's reason.
   */
  async neighbors(
    images: ImageBatch,
    options: NearestImagesOptions,
    control: MeasureControl = {},
  ): Promise<NearestImages> {
    return this.use((inner) => nearestImages(inner, images, options, control));
  }

  /**
   * Frees the native memory; calls under way end first, also those of functions that were given this San, and new ones are
   * refused with ERR_SAN_DISPOSED. An abort of their signals ends them sooner. A stream() that is being iterated ends with
   * ERR_SAN_DISPOSED at its next batch. Idempotent.
   */
  dispose(): Promise<void> {
    this.disposal ??= this.free();
    return this.disposal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** For inUse(). */
  private async use<T>(work: (inner: San) => Promise<T>): Promise<T> {
    return this.uses ? this.uses.during(() => work(this.inner)) : work(this);
  }

  private async free(): Promise<void> {
    await this.uses?.end();
    // Single calls of the network end first by themselves: its work is done in order.
    await this.network.dispose();
  }

  private requireAlive(): void {
    this.uses?.requireOpen();
  }
}
