import { describe, expect, it, vi } from 'vitest';
import type { MetricName } from '../../../lib/config/schema.js';
import { imagesFrom, inBlocks } from '../../../lib/metrics/blocks.js';
import { Evaluator } from '../../../lib/metrics/evaluator.js';
import { FIRST_INDEX } from '../../../lib/metrics/generated.js';
import type { ImageBatch } from '../../../lib/native.js';
import { extractorFile, fakeSampler, levels, levelsOf, settings, watchedAddon } from './support.js';

async function evaluatorOf(metrics: MetricName[], images: ImageBatch, changes = {}) {
  const watched = watchedAddon();
  const { extractor, cacheFolder } = await extractorFile();
  const evaluator = await Evaluator.create({
    addon: watched.addon,
    images,
    dataHash: 'data',
    config: settings({ metrics, extractor, ...changes }),
    cacheFolder,
  });
  return { evaluator, ...watched };
}

describe('Evaluator', () => {
  it('gives every metric by its name, in one order', async () => {
    const metrics: MetricName[] = [
      'recall',
      'precision',
      'kid',
      'fd',
      'latentCovariance',
      'latentVariance',
      'latentMean',
      'reconstruction',
      'swd',
    ];
    const { evaluator, slicedWasserstein } = await evaluatorOf(metrics, levels(12));
    slicedWasserstein.mockResolvedValue([
      { size: 32, distance: 5 },
      { size: 16, distance: 2 },
    ]);
    const values = await evaluator.evaluate(fakeSampler(2));
    expect(values).toEqual({
      swd: 3.5,
      reconstruction: expect.closeTo((2 / 127.5) ** 2, 12),
      latentMean: 0.1,
      latentVariance: 0.2,
      latentCovariance: 0.3,
      fd: 3,
      kid: 4,
      precision: 0.5,
      recall: 0.25,
    });
    expect(Object.keys(values)).toEqual(metrics.toReversed());
  });

  it.each<[MetricName[], string[]]>([
    [[], []],
    [['swd'], ['generate', 'slicedWasserstein']],
    [['diversity', 'sharpness'], ['generate']],
    [['reconstruction'], ['reverse', 'decode']],
    [['latentMean'], ['reverse', 'latentStatistics']],
    [['fd'], ['generate', 'createExtractor', 'frechetDistance']],
    [['kid'], ['generate', 'createExtractor', 'kernelDistance']],
    [['recall'], ['generate', 'createExtractor', 'precisionRecall']],
  ])('does only what %j asks for', async (metrics, expected) => {
    const { evaluator, extractor: _, addon: _addon, ...watched } = await evaluatorOf(metrics, levels(5));
    const model = fakeSampler();
    expect(Object.keys(await evaluator.evaluate(model))).toEqual(metrics);
    const called = Object.entries({ ...model, ...watched }).filter(([, { mock }]) => mock.calls.length > 0);
    expect(called.map(([name]) => name).sort()).toEqual(expected.toSorted());
  });

  it('measures metricCount images of each, spread over the data, from a far index of the seed on', async () => {
    const { evaluator, slicedWasserstein, kernelDistance } = await evaluatorOf(['swd', 'kid'], levels(40), {
      metricCount: 10,
    });
    const model = fakeSampler();
    await evaluator.evaluate(model);
    expect(model.generate.mock.calls).toEqual([[{ seed: 7, startIndex: 2 ** 32, count: 10 }]]);
    const { real, fake, seed } = slicedWasserstein.mock.calls[0]?.[0] ?? {};
    expect(seed).toBe(7);
    expect(levelsOf(real as ImageBatch)).toEqual([0, 4, 8, 12, 16, 20, 24, 28, 32, 36]);
    expect(levelsOf(fake as ImageBatch)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const batches = kernelDistance.mock.calls[0]?.[0];
    expect([...(batches?.real.data ?? [])].slice(0, 4)).toEqual([0, 1, 4, 1]);
    expect([...(batches?.fake.data ?? [])].slice(0, 4)).toEqual([0, 1, 1, 1]);
    expect(batches).toMatchObject({ seed: 7, real: { shape: [10, 2] }, fake: { shape: [10, 2] } });
  });

  it('works in blocks; with little data swd takes as many of both, features take metricCount', async () => {
    const { evaluator, extractor, slicedWasserstein, frechetDistance } = await evaluatorOf(
      ['swd', 'fd', 'latentMean'],
      levels(300),
      { metricCount: 600 },
    );
    const model = fakeSampler();
    await evaluator.evaluate(model);
    const drawn = model.generate.mock.calls.map(([{ startIndex = 0, count }]) => [startIndex, count]);
    expect(drawn).toEqual([
      [FIRST_INDEX, 256],
      [FIRST_INDEX + 256, 256],
      [FIRST_INDEX + 512, 88],
    ]);
    expect(model.reverse.mock.calls.map(([{ images }]) => images.shape[0])).toEqual([256, 44]);
    expect(extractor.features.mock.calls.map(([{ images }]) => images.shape[0])).toEqual([
      256, 44, 256, 256, 88,
    ]);
    const { real, fake } = slicedWasserstein.mock.calls[0]?.[0] ?? {};
    expect([real?.shape[0], fake?.shape[0]]).toEqual([300, 300]);
    expect(levelsOf(fake as ImageBatch)).toEqual(levelsOf(levels(300)));
    const batches = frechetDistance.mock.calls[0]?.[0];
    expect([batches?.real.shape, batches?.fake.shape]).toEqual([
      [300, 2],
      [600, 2],
    ]);
    expect([evaluator.realCount, evaluator.generatedCount]).toEqual([300, 600]);
  });

  it('takes all latents together for their statistics', async () => {
    const { evaluator, latentStatistics } = await evaluatorOf(['latentVariance'], levels(300));
    await evaluator.evaluate(fakeSampler());
    const { latents } = latentStatistics.mock.calls[0]?.[0] ?? {};
    expect(latents?.shape).toEqual([300, 2, 1, 1]);
    expect(latents?.data[2 * 299]).toBe(299 % 256);
    expect(evaluator.generatedCount).toBe(0);
  });

  it('gives the extractor its size, range and threads', async () => {
    const changes = { extractorSize: 299, extractorRange: '-1..1', threads: 2 };
    const { createExtractor } = await evaluatorOf(['fd'], levels(4), changes);
    expect(createExtractor.mock.calls[0]?.[0]).toMatchObject({ size: 299, range: [-1, 1], threads: 2 });
  });

  it('stops between blocks when asked to', async () => {
    const { evaluator } = await evaluatorOf(['swd'], levels(600));
    const controller = new AbortController();
    const model = fakeSampler();
    model.generate.mockImplementation(async ({ count }) => {
      controller.abort(new Error('enough'));
      return levels(count);
    });
    await expect(evaluator.evaluate(model, { signal: controller.signal })).rejects.toThrow('enough');
    expect(model.generate).toHaveBeenCalledTimes(1);
  });

  it('frees the extractor, also when the real images cannot be compared', async () => {
    const { evaluator, extractor } = await evaluatorOf(['fd'], levels(4));
    await evaluator.dispose();
    expect(extractor.dispose).toHaveBeenCalledTimes(1);

    const watched = watchedAddon();
    watched.extractor.features.mockImplementationOnce(async () => ({
      data: new Float32Array(256),
      shape: [256, 1],
    }));
    const created = Evaluator.create({
      addon: watched.addon,
      images: levels(300),
      dataHash: 'data',
      config: settings({ metrics: ['fd'], extractor: (await extractorFile()).extractor }),
    });
    await expect(created).rejects.toMatchObject({
      code: 'ERR_SAN_EXTRACTOR',
      message: expect.stringMatching(/^extractor = .* does not give as many features for every image/),
    });
    expect(watched.extractor.dispose).toHaveBeenCalledTimes(1);
  });
});

describe('what cannot be measured', () => {
  it.each<[Parameters<typeof settings>[0], number, RegExp]>([
    [
      { metrics: ['swd', 'fd', 'recall'] },
      9,
      /^metrics = fd,recall without extractor: .*; set extractor to .*, or leave them out of metrics$/,
    ],
    [
      { imageSize: 8 },
      9,
      /^metrics = swd with imageSize = 8: swd is for images of at least 16 pixels; leave it out/,
    ],
    [
      { metrics: ['latentMean'] },
      1,
      /^metrics = latentMean with the data's image count of 1: it takes at least 2 images; add images/,
    ],
    [
      { metrics: ['precision'], metricCount: 3, extractor: 'x.pt' },
      9,
      /^metrics = precision with metricCount = 3: it takes at least 4 images; raise metricCount/,
    ],
    [
      { metrics: ['fd'], extractor: '/nowhere/x.pt' },
      9,
      /^extractor = \/nowhere\/x\.pt cannot be read: no such file or folder; name a TorchScript file/,
    ],
    [{ metrics: ['fd'], extractor: '/' }, 9, /^extractor = \/ cannot be read: it is not a file; /],
  ])('%j of %i images is refused', async (changes, count, message) => {
    const { addon, createExtractor } = watchedAddon();
    const created = Evaluator.create({
      addon,
      images: levels(count),
      dataHash: 'data',
      config: settings(changes),
    });
    await expect(created).rejects.toMatchObject({
      code: 'ERR_SAN_CONFIG',
      message: expect.stringMatching(message),
    });
    expect(createExtractor).not.toHaveBeenCalled();
  });

  it('an extractor is not opened when no metric wants it', async () => {
    const { addon, createExtractor } = watchedAddon();
    const config = settings({ extractor: '/nowhere/x.pt' });
    await Evaluator.create({ addon, images: levels(2), dataHash: 'data', config });
    expect(createExtractor).not.toHaveBeenCalled();
  });
});

describe('blocks', () => {
  it('hold 64 MiB at most, and one image at least', async () => {
    const lengths = async (size: number, total: number) => {
      const counts: number[] = [];
      await inBlocks('x', [total, size, size, 3], {}, async (_, count) => void counts.push(count));
      return counts;
    };
    expect(await lengths(1024, 50)).toEqual([21, 21, 8]);
    expect(await lengths(8192, 2)).toEqual([1, 1]);
    expect(await lengths(8, 256)).toEqual([256]);
    expect(await lengths(8, 0)).toEqual([]);
  });

  it('share the pixels', () => {
    const images = levels(5);
    const part = imagesFrom(images, 2, 2);
    expect(levelsOf(part)).toEqual([2, 3]);
    expect(part.data.buffer).toBe(images.data.buffer);
  });

  it('tell of progress', async () => {
    const onProgress = vi.fn();
    await inBlocks('drawing', [300, 8, 8, 1], { onProgress }, async () => {});
    expect(onProgress.mock.calls).toEqual([
      ['drawing', 0, 300],
      ['drawing', 256, 300],
    ]);
  });
});
