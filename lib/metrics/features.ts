/** Features of images by a TorchScript module, those of the real images cached between runs. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { ConfigError, SanError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import type { Addon, FeatureBatch, ImageBatch, NativeExtractor } from '../native.js';
import { imagesFrom, inBlocks, type MeasureControl, Rows } from './blocks.js';
import type { MetricConfig } from './catalogue.js';
import { cacheKey, readFeatures, writeFeatures } from './feature-cache.js';
import type { Sampler } from './sampler.js';

export class FeatureExtractor {
  readonly native: NativeExtractor;
  private readonly path: string;
  /** All that its features depend on besides the images. */
  private readonly identity: readonly string[];

  private constructor(native: NativeExtractor, path: string, identity: readonly string[]) {
    this.native = native;
    this.path = path;
    this.identity = identity;
  }

  /** Throws ConfigError when there is no such file, ERR_SAN_EXTRACTOR when it is not a TorchScript module. */
  static async load(
    path: string,
    addon: Addon,
    config: Pick<MetricConfig, 'extractorSize' | 'extractorRange' | 'threads'>,
  ): Promise<FeatureExtractor> {
    const { extractorSize: size, extractorRange: range, threads } = config;
    const hash = await hashFile(path);
    const native = await addon.createExtractor({
      path,
      range: range.split('..').map(Number) as [number, number],
      ...(size !== undefined && { size }),
      ...(threads !== undefined && { threads }),
    });
    return new FeatureExtractor(native, path, [hash, size === undefined ? 'as is' : String(size), range]);
  }

  /** Features of one block of images, shared out among the ranks of `model` if it has any. */
  features(images: ImageBatch, model?: Sampler): Promise<FeatureBatch> {
    return model?.extract?.({ extractor: this.native, images }) ?? this.native.features({ images });
  }

  /** Features [N, D] of the whole batch, from `cacheFolder` when they are there; put there otherwise. */
  async realFeatures(
    images: ImageBatch,
    dataHash: string,
    cacheFolder: string,
    control: MeasureControl,
  ): Promise<FeatureBatch> {
    const total = images.shape[0];
    const key = cacheKey([dataHash, String(total), ...this.identity]);
    const cached = await readFeatures(cacheFolder, key, total);
    if (cached !== undefined) return cached;
    const collected = this.collect(total);
    await inBlocks('features of real images', images.shape, control, async (start, count) => {
      collected.add(await this.features(imagesFrom(images, start, count)));
    });
    const features = collected.batch();
    await writeFeatures(cacheFolder, key, features);
    return features;
  }

  /** Gathers features block by block. */
  collect(total: number): { add(block: FeatureBatch): void; batch(): FeatureBatch } {
    const rows = new Rows(total);
    return {
      add: ({ data, shape }) => {
        try {
          rows.add(data, shape[0]);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          throw new SanError(
            'ERR_SAN_EXTRACTOR',
            `extractor = ${this.path} does not give as many features for every image; choose one that does`,
            { path: this.path, field: 'extractor' },
            { cause: error },
          );
        }
      },
      batch: () => ({ data: rows.data, shape: [total, rows.data.length / total] }),
    };
  }

  dispose(): Promise<void> {
    return this.native.dispose();
  }
}

/** SHA-256 in hexadecimal. Throws ConfigError when the file cannot be read. */
async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    // Before opening it, for to open a pipe would wait for a writer.
    if (!(await stat(path)).isFile()) throw new Error('it is not a file');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (error) {
    throw new ConfigError(
      `extractor = ${path} cannot be read: ${fileErrorReason(error)}; name a TorchScript file such as inception-2015-12-05.pt`,
      { path, field: 'extractor', value: path },
    );
  }
  return hash.digest('hex');
}
