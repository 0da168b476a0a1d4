import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { type ConfigInput, modelOptions } from '../../../lib/config/schema.js';
import { evaluate } from '../../../lib/metrics/evaluate.js';
import { cli } from '../support/cli.js';
import { fakeAddon, fakeTensors, progress } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

let fake: ReturnType<typeof fakeAddon>;
beforeEach(() => {
  fake = fakeAddon();
  native.addon = fake.addon;
});

/** A checkpoint and four images, one of them in a file that is none. */
async function prepared(values: ConfigInput = {}) {
  const folder = await temporaryFolder();
  vi.stubEnv('SAN_NATIVE_CACHE', join(folder, 'cache'));
  const checkpoint = join(folder, 'san.safetensors');
  const config = resolveConfig([
    { source: '', values: { imageSize: 16, baseWidth: 4, maxWidth: 8, seed: 5, ...values } },
  ]);
  const tensors = fakeTensors(modelOptions(config));
  await saveCheckpoint(checkpoint, { config, step: 5, images: 10, ...progress, tensors });
  const data = join(folder, 'data');
  await mkdir(data);
  for (let i = 0; i < 4; i++) {
    const background = { r: 50 * i, g: 0, b: 0 };
    const picture = sharp({ create: { width: 20, height: 20, channels: 3, background } });
    await picture.png().toFile(join(data, `${i}.png`));
  }
  await writeFile(join(data, 'notes.txt'), 'no image');
  const extractor = join(folder, 'extractor.pt');
  await writeFile(extractor, 'module');
  return { checkpoint, data, extractor };
}

describe('evaluate()', () => {
  it('measures all that needs no extractor, with the settings of the run', async () => {
    const { checkpoint, data } = await prepared({ metricCount: 77, metrics: ['fd'], extractor: '/nowhere' });
    const swd = vi.spyOn(fake.addon, 'slicedWasserstein');
    const result = await evaluate({ checkpoint, data });
    expect(result).toEqual({
      metrics: {
        swd: 2,
        diversity: expect.any(Number),
        sharpness: expect.any(Number),
        reconstruction: expect.any(Number),
        latentMean: 0.1,
        latentVariance: 0.2,
        latentCovariance: 0.3,
      },
      count: 77,
      realCount: 4,
      generatedCount: 4,
      seed: 5,
      checkpoint,
      step: 5,
      data,
      dataHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      damaged: [],
      skipped: [{ path: 'notes.txt', reason: expect.any(String) }],
    });
    expect(swd.mock.calls[0]?.[0]).toMatchObject({ seed: 5, real: { shape: [4, 16, 16, 3] } });
    expect(fake.disposed).toHaveLength(1);
  });

  it('measures all when there is an extractor, and passes on what is given', async () => {
    const { checkpoint, data, extractor } = await prepared();
    const create = vi.spyOn(fake.addon, 'createExtractor');
    const network = vi.spyOn(fake.addon, 'createNetwork');
    const { metrics, ...rest } = await evaluate({
      checkpoint,
      data,
      extractor,
      extractorSize: 64,
      extractorRange: '0..1',
      threads: 2,
      count: 9,
      seed: 3,
    });
    expect(Object.keys(metrics)).toHaveLength(11);
    expect(rest).toMatchObject({ count: 9, generatedCount: 9, realCount: 4, seed: 3 });
    expect(create).toHaveBeenCalledWith({ path: extractor, size: 64, range: [0, 1], threads: 2 });
    expect(network.mock.calls[0]?.[0].threads).toBe(2);
  });

  it('leaves swd out of the default for small images, but not when it is asked for', async () => {
    const { checkpoint } = await prepared({ imageSize: 8 });
    const { data } = await prepared();
    expect(Object.keys((await evaluate({ checkpoint, data })).metrics)).not.toContain('swd');
    await expect(evaluate({ checkpoint, data, metrics: ['swd'] })).rejects.toMatchObject({
      code: 'ERR_SAN_CONFIG',
      message: expect.stringMatching(/^metrics = swd with imageSize = 8: /),
    });
  });

  it('does not ask for the metrics by which the run was stopped and its best checkpoint was kept', async () => {
    const { checkpoint, data } = await prepared({
      metricEvery: 10,
      metrics: ['swd', 'diversity', 'sharpness'],
      keepBest: 'swd',
      plateau: 'diversity',
      targets: ['sharpness>0.5'],
    });
    const { metrics } = await evaluate({ checkpoint, data, metrics: ['latentMean'] });
    expect(metrics).toEqual({ latentMean: 0.1 });
  });

  it.each<[object, string, RegExp]>([
    [{ metrics: ['swdd'] }, 'CONFIG', /^metrics = "swdd": there is no such metric, .*; did you mean swd\?$/],
    [{ metrics: ['latentmean'] }, 'CONFIG', /; did you mean latentMean\?$/],
    [{ metrics: [undefined] }, 'CONFIG', /there is no such metric/],
    [{ metrics: [] }, 'CONFIG', /^metrics must be a list of one or more of swd, /],
    [{ metrics: 'swd' }, 'CONFIG', /^metrics must be a list of one or more of swd, /],
    [{ metric: ['swd'] }, 'OPTIONS', /^unknown option "metric"; did you mean metrics\?$/],
    [{ metrics: ['kid'] }, 'CONFIG', /^metrics = kid and no extractor: /],
    [{ count: 1 }, 'OPTIONS', /^count = 1: expected a whole number from 2 on$/],
    [{ seed: -1 }, 'OPTIONS', /^seed = -1: /],
    [{ threads: 0 }, 'OPTIONS', /^threads = 0: /],
    [
      { extractorRange: '0..2' },
      'CONFIG',
      /^extractorRange = "0\.\.2": expected 0\.\.255, 0\.\.1 or -1\.\.1/,
    ],
    [{ extractorSize: 0 }, 'CONFIG', /^extractorSize = 0: expected a whole number from 1 to 4096$/],
  ])('refuses %j before it reads any image', async (options, code, message) => {
    const { checkpoint } = await prepared();
    await expect(evaluate({ checkpoint, data: '/nowhere', ...options })).rejects.toMatchObject({
      code: `ERR_SAN_${code}`,
      message: expect.stringMatching(message),
    });
  });

  it('does not open the extractor that a checkpoint names', async () => {
    const { extractor: named } = await prepared();
    const { checkpoint, data } = await prepared({ metrics: ['fd'], extractor: named });
    const create = vi.spyOn(fake.addon, 'createExtractor');
    await expect(evaluate({ checkpoint, data, metrics: ['fd'] })).rejects.toMatchObject({
      code: 'ERR_SAN_CONFIG',
      message: expect.stringContaining('no extractor'),
    });
    expect(create).not.toHaveBeenCalled();
  });

  it('tells of too few images by the name that they have here, before any is read', async () => {
    const { checkpoint, extractor } = await prepared({ metricCount: 3 });
    const message =
      'metrics = recall with count = 3: it takes at least 4 images; raise count, or leave it out of metrics';
    for (const count of [3, undefined]) {
      const measuring = evaluate({ checkpoint, data: 'none', extractor, metrics: ['swd', 'recall'], count });
      await expect(measuring).rejects.toMatchObject({ code: 'ERR_SAN_CONFIG', message });
    }
  });

  it('frees everything when measuring fails', async () => {
    const { checkpoint, data, extractor } = await prepared();
    const dispose = vi.fn(async () => {});
    const features = async () => ({ data: new Float32Array(4), shape: [4, 1] as [number, number] });
    vi.spyOn(fake.addon, 'createExtractor').mockResolvedValue({ features, dispose });
    vi.spyOn(fake.addon, 'frechetDistance').mockRejectedValue(new Error('broken'));
    await expect(evaluate({ checkpoint, data, extractor, count: 4 })).rejects.toThrow('broken');
    expect(dispose).toHaveBeenCalledTimes(1);
    expect(fake.disposed).toHaveLength(1);
  });
});

describe('san-native evaluate', () => {
  it('prints a table', async () => {
    const { checkpoint, data, extractor } = await prepared();
    const args = ['--metrics', 'swd,latentVariance,recall', '--extractor', extractor, '--count', '9'];
    const { status, out, err } = await cli('evaluate', checkpoint, data, ...args);
    expect({ status, out }).toEqual({
      status: 0,
      out: [
        'swd              2.000  lower is better',
        'latentVariance  0.2000  lower is better',
        'recall          0.2500  higher is better',
        `9 generated and 4 real images, seed 5, step 5, ${checkpoint}`,
        '',
      ].join('\n'),
    });
    expect(err).toMatch(/^warning: skipped 1 files, such as notes\.txt: [^\n]*\n$/);
    const quiet = await cli('evaluate', checkpoint, data, '--metrics', 'swd', '--quiet');
    expect(quiet).toMatchObject({ status: 0, err: '' });
  });

  it('prints one JSON object', async () => {
    const { checkpoint, data } = await prepared();
    const { status, out } = await cli('evaluate', checkpoint, data, '--json', '--metrics=swd', '--seed', '2');
    expect(status).toBe(0);
    expect(JSON.parse(out)).toEqual({
      metrics: { swd: 2 },
      count: 1000,
      realCount: 4,
      generatedCount: 4,
      seed: 2,
      checkpoint,
      step: 5,
      data,
      dataHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      damaged: [],
      skipped: [{ path: 'notes.txt', reason: expect.any(String) }],
    });
    expect(out.split('\n')).toHaveLength(2);
  });

  it('warns of a damaged checkpoint', async () => {
    const { checkpoint, data } = await prepared();
    const run = await temporaryFolder();
    await mkdir(join(run, 'checkpoints'));
    const config = resolveConfig([{ source: '', values: { imageSize: 16, baseWidth: 4, maxWidth: 8 } }]);
    const tensors = fakeTensors(modelOptions(config));
    const whole = join(run, 'checkpoints', 'step-000005.safetensors');
    await saveCheckpoint(whole, { config, step: 5, images: 10, ...progress, tensors });
    await writeFile(join(run, 'checkpoints', 'step-000009.safetensors'), 'cut');
    const { status, out, err } = await cli('evaluate', run, data, '--metrics', 'swd');
    expect(status).toBe(0);
    expect(out).toContain(whole);
    expect(err).toMatch(/^warning: passed over a damaged checkpoint: .*step-000009/);
    expect(checkpoint).not.toBe(whole);
    const told = await cli('evaluate', run, data, '--metrics', 'swd', '--json', '--quiet');
    expect(told.err).toBe('');
    expect(JSON.parse(told.out)).toMatchObject({
      damaged: [{ path: join(run, 'checkpoints', 'step-000009.safetensors') }],
      skipped: [{ path: 'notes.txt' }],
    });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('after %s says nothing and ends with status %i', async (signal, status) => {
    const { checkpoint, data } = await prepared();
    const before = process.listenerCount(signal);
    const create = fake.addon.createNetwork;
    fake.addon.createNetwork = async (options) => {
      process.emit(signal, signal);
      return create(options);
    };
    expect(await cli('evaluate', checkpoint, data, '--quiet')).toEqual({ status, out: '', err: '' });
    expect(fake.disposed).toHaveLength(1);
    expect(process.listenerCount(signal)).toBe(before);
  });

  it.each<[string[], number, string]>([
    [['--metrics', 'swd,recal'], 1, 'ERR_SAN_CONFIG: metrics = "recal": there is no such metric, only swd, '],
    [['--metrics='], 1, 'ERR_SAN_CONFIG: metrics must be a list of one or more of swd, '],
    [['--metrics', 'fd'], 1, 'ERR_SAN_CONFIG: metrics = fd and no extractor: '],
    [['--count', 'many'], 1, 'ERR_SAN_OPTIONS: count = "many": expected a whole number from 2 on'],
    [['--metircs', 'fd'], 2, 'ERR_SAN_USAGE: unknown flag --metircs; did you mean --metrics?'],
    [['--extractor'], 2, 'ERR_SAN_USAGE: the flag --extractor needs a value'],
  ])('with %j is refused in one line', async (args, status, message) => {
    const { checkpoint, data } = await prepared();
    const result = await cli('evaluate', checkpoint, data, ...args);
    expect(result).toEqual({ status, out: '', err: expect.stringContaining(`error ${message}`) });
    expect(result.err.split('\n')).toHaveLength(2);
  });

  it('names what is missing', async () => {
    const { checkpoint } = await prepared();
    expect((await cli('evaluate', checkpoint)).err).toBe(
      'error ERR_SAN_USAGE: an argument is missing: san-native evaluate <checkpoint> <data>\n',
    );
    const { out } = await cli('evaluate', '--help');
    expect(out).toMatch(/--metrics .*all that can be had/s);
    expect(out).toContain('san-native evaluate runs/photos photos --extractor');
  });
});
