import { type LoadedCheckpoint, loadCheckpoint, networkTensors } from '../checkpoint/checkpoint.js';
import { type Config, modelOptions } from '../config/schema.js';
import { SanError } from '../errors.js';
import {
  type ImageBatch,
  type LatentBatch,
  loadAddon,
  type NativeNetwork,
  type SampleOptions,
} from '../native.js';
import { type ImageScore, imageScores, type ScoreReference } from '../reverser/scores.js';
import { requireBatch, requireWhole } from './checks.js';

export interface LoadOptions {
  /** CPU threads; default all cores. */
  threads?: number;
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
  readonly damaged: LoadedCheckpoint['damaged'];
  private readonly network: NativeNetwork;
  private disposed = false;

  private constructor(checkpoint: LoadedCheckpoint, network: NativeNetwork) {
    this.config = checkpoint.config;
    this.step = checkpoint.step;
    this.path = checkpoint.path;
    this.damaged = checkpoint.damaged;
    this.network = network;
  }

  /**
   * Loads a checkpoint file, or the newest whole checkpoint of a run folder.
   * Throws CheckpointError, or SetupError when the addon has not been built.
   */
  static async load(runOrCheckpoint: string, options: LoadOptions = {}): Promise<San> {
    const { threads } = options;
    if (threads !== undefined) requireWhole('threads', threads, 1);
    const addon = loadAddon();
    const checkpoint = await loadCheckpoint(runOrCheckpoint, addon);
    const network = await addon.createNetwork({
      model: modelOptions(checkpoint.config),
      tensors: networkTensors(checkpoint.tensors),
      ...(threads !== undefined && { threads }),
    });
    return new San(checkpoint, network);
  }

  /**
   * Draws images startIndex … startIndex + count - 1 of a seed, with the moving average of the generator. Image i
   * of a seed is the same in any batch. Result: 8-bit [count, S, S, C]. Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED.
   */
  async generate(options: SampleOptions): Promise<ImageBatch> {
    this.requireAlive();
    const { count, seed, startIndex = 0 } = options;
    requireWhole('count', count, 1);
    requireWhole('seed', seed, 0);
    requireWhole('startIndex', startIndex, 0);
    return this.network.generate({ count, seed, startIndex });
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

  /** Images [N, S, S, C] of latents [N, Zc, Sz, Sz], N >= 1. Throws ERR_SAN_SHAPE, ERR_SAN_DISPOSED. */
  async decode(latents: LatentBatch): Promise<ImageBatch> {
    this.requireAlive();
    const { latentChannels, latentSize } = this.config;
    requireBatch('latents', latents, Float32Array, [latentChannels, latentSize, latentSize]);
    return this.network.decode({ latents });
  }

  /** Latents [count, Zc, Sz, Sz] that generate() draws its images from. Throws ERR_SAN_OPTIONS, ERR_SAN_DISPOSED. */
  async latents({ count, seed, startIndex = 0 }: SampleOptions): Promise<LatentBatch> {
    this.requireAlive();
    requireWhole('count', count, 1);
    requireWhole('seed', seed, 0);
    requireWhole('startIndex', startIndex, 0);
    const { latentChannels, latentSize } = this.config;
    return loadAddon().latents({ count, seed, startIndex, latentChannels, latentSize });
  }

  /** What comes back of 8-bit images [N, S, S, C]: G(R(x)). Throws ERR_SAN_SHAPE, ERR_SAN_DISPOSED. */
  async reconstruct(images: ImageBatch): Promise<ImageBatch> {
    return this.decode(await this.reverse(images));
  }

  /**
   * How unlike the images of `reference`, such as scoreReference() gives for the training images, each of N images is:
   * docs/reverser.md has the formulas. Throws ERR_SAN_SHAPE, ERR_SAN_DISPOSED.
   */
  async score(images: ImageBatch, reference: ScoreReference): Promise<ImageScore[]> {
    const latents = await this.reverse(images);
    return imageScores(images, latents, await this.decode(latents), reference);
  }

  /** Frees the native memory; calls under way end first. Idempotent. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.network.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  private requireAlive(): void {
    if (this.disposed) throw new SanError('ERR_SAN_DISPOSED', 'this San has been disposed of');
  }
}
