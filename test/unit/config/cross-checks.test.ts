import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PRESET_NAMES } from '../../../lib/config/presets.js';
import { presetLayer, resolveConfig } from '../../../lib/config/resolve.js';
import { ConfigError } from '../../../lib/errors.js';

const resolve = (values: Record<string, unknown>) => resolveConfig([{ source: '', values }]);

describe('settings at odds with each other', () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [{ learningRateWarmup: 50, steps: 40 }, /^learningRateWarmup = 50 .* steps = 40:/],
    [
      { learningRateSchedule: 'cosine', learningRateFinal: 0.1 },
      /^learningRateFinal = 0\.1 .* learningRate = 0\.001:.*cosine/,
    ],
    [{ repulsionWarmup: 10, repulsionWeight: 0 }, /^repulsionWarmup = 10 .* repulsionWeight = 0/],
    [{ reconstructionShare: 0.5, pairing: 'random' }, /^reconstructionShare = 0.5 .* pairing = random/],
    [{ reverserShift: 0.01, imageSize: 32 }, /^reverserShift = 0.01 .* imageSize = 32/],
    [{ metrics: ['swd', 'kid'] }, /^metrics = swd,kid and no extractor: kid/],
    [{ metricEvery: 5, imageSize: 8 }, /^metrics = swd,.* imageSize = 8: swd needs 16/],
    [{ plateau: 'fd', metricEvery: 5 }, /^plateau = fd: metrics = swd,.* does not measure fd/],
    [{ plateau: 'swd' }, /^plateau = swd: swd is never measured, since metricEvery = 0/],
    [{ keepBest: 'reconstruction' }, /^keepBest = reconstruction: .* metricEvery = 0/],
    [{ keepBest: 'swd', metricEvery: 5, metrics: [] }, /^keepBest = swd: metrics = none does not measure/],
    [{ targets: ['lgi<1', 'swd < 3'] }, /^targets = swd < 3: .* metricEvery = 0/],
    [{ targets: ['gp<1'], penaltyWeight: 0 }, /^targets = gp<1: .* penaltyWeight = 0/],
  ])('%o', (values, message) => {
    expect(() => resolve(values)).toThrow(ConfigError);
    expect(() => resolve(values)).toThrow(message);
  });

  it.each<Record<string, unknown>>([
    { learningRateWarmup: 40, steps: 40 },
    { learningRateFinal: 0.1 },
    { learningRateSchedule: 'linear', learningRateFinal: 1e-3 },
    { repulsionWeight: 0 },
    { metrics: ['kid'], extractor: 'inception.pt' },
    { metricEvery: 5, imageSize: 8, metrics: ['reconstruction'] },
    { plateau: 'lgi', keepBest: 'lrx', targets: ['llz<2'] },
    { plateau: 'swd', keepBest: 'swd', targets: ['swd<2'], metricEvery: 5 },
    { targets: ['gp<1'], penaltyWeight: 10 },
  ])('but not %o', (values) => {
    expect(resolve(values)).toMatchObject(values);
  });

  it('never keep a config that passed from passing again, as a checkpoint holds it', () => {
    const whole = (max: number) => fc.integer({ min: 0, max });
    const settings = fc.record(
      {
        imageSize: fc.constantFrom(8, 16, 33, 64),
        steps: fc.integer({ min: 1, max: 60 }),
        learningRateWarmup: whole(60),
        learningRateSchedule: fc.constantFrom('constant', 'linear', 'cosine'),
        learningRateFinal: fc.double({ min: 0, max: 2e-3, noNaN: true }),
        repulsionWeight: fc.constantFrom(0, 0.3),
        repulsionWarmup: whole(3),
        metricEvery: whole(2),
        metrics: fc.subarray(['swd', 'fd', 'reconstruction']),
        extractor: fc.constant('a.pt'),
        plateau: fc.constantFrom('lgi', 'swd', 'gp'),
        keepBest: fc.constantFrom('lgd', 'fd'),
        targets: fc.subarray(['lgi<0.5', 'swd<3']),
      },
      { requiredKeys: [] },
    );
    let passed = 0;
    fc.assert(
      fc.property(settings, (values) => {
        let config: ReturnType<typeof resolve>;
        try {
          config = resolve(values);
        } catch {
          return;
        }
        passed++;
        expect(resolve(JSON.parse(JSON.stringify(config)))).toEqual(config);
      }),
      { numRuns: 500 },
    );
    expect(passed).toBeGreaterThan(20);
  });
});

describe('a wrong name', () => {
  it.each<[Record<string, unknown>, string]>([
    [{ targets: 'lgi<0.02, swd<30' }, 'as a list it is ["lgi<0.02", "swd<30"]'],
    [{ lgiScales: '0.1,0,1' }, 'as a list it is [0.1, 0, 1]'],
    [{ metrics: 'swd,kid' }, 'as a list it is ["swd", "kid"]'],
    [{ estimator: 'slice' }, 'did you mean sliced?'],
    [{ metrics: ['swd', 'reconstructoin'] }, 'did you mean reconstruction?'],
    [{ plateau: 'latent_mean' }, 'did you mean latentMean?'],
    [{ targets: ['lgi<1', 'lgii < 2'] }, 'did you mean lgi?'],
    [{ targets: ['latentVarience>2'] }, 'did you mean latentVariance?'],
  ])('in %o gives the nearest', (values, text) => {
    expect(() => resolve(values)).toThrow(text);
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{ targets: ['swd<20', 'foo<3'] }, /a number; "foo<3" is none$/],
    [{ targets: ['swd<20', 'lgi=1'] }, /a number; "lgi=1" is none$/],
    [{ metrics: ['swd', 'frobnicate'] }, /; "frobnicate" is none$/],
  ])('in the list of %o is the one that is told', (values, text) => {
    expect(() => resolve(values)).toThrow(text);
  });

  it('is not looked for where the name is right', () => {
    expect(() => resolve({ targets: ['lgi=1'] })).toThrow(/and a number$/);
  });
});

describe('presets named by a size', () => {
  it.each([32, 64, 128, 256])(
    '%i has images of that size, a latent of 64 numbers, and takes a number',
    (size) => {
      const config = resolveConfig([presetLayer(size)]);
      expect(resolveConfig([presetLayer(String(size))])).toEqual(config);
      expect(config.imageSize).toBe(size);
      expect(config.latentChannels * config.latentSize ** 2).toBe(64);
    },
  );

  it.each(PRESET_NAMES)('%s goes with another image size', (name) => {
    expect(resolveConfig([presetLayer(name), { source: '', values: { imageSize: 16 } }]).imageSize).toBe(16);
  });

  it('are offered by name', () => {
    expect(() => presetLayer('46')).toThrow('only quickstart, 32, 64, 128, 256, paper');
  });
});
