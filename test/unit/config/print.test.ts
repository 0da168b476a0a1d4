import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readConfigFile } from '../../../lib/config/file.js';
import { PRESET_NAMES } from '../../../lib/config/presets.js';
import { configAsJson, configAsYaml } from '../../../lib/config/print.js';
import {
  type ConfigLayer,
  presetLayer,
  resolveConfig,
  resolveWithOrigins,
} from '../../../lib/config/resolve.js';
import { temporaryFolder } from '../support/temporary.js';

const flag = (key: string) => `flag --${key}`;
const print = (layers: ConfigLayer[]) => configAsYaml(resolveWithOrigins(layers), flag);

describe('printed settings', () => {
  it('say where each comes from', () => {
    const layers = [
      presetLayer('64'),
      { source: 'photos.yaml', values: { batchSize: 8, lambda: 0.25 } },
      { source: '', values: { lambda: 0.75, targets: ['lgi<0.5'] } },
    ];
    const lines = print(layers).split('\n');
    for (const line of [
      /^imageSize: 64 +# preset 64$/,
      /^batchSize: 8 +# photos\.yaml$/,
      /^lambda: 0\.75 +# flag --lambda$/,
      /^targets: \[lgi<0\.5\] +# flag --targets$/,
      /^strides: \[2, 2, 2, 2, 2, 2\] +# derived from imageSize$/,
      /^widths: \[.*\] # derived from baseWidth and maxWidth$/,
      /^wGD: 0\.3 +# default$/,
      /^# threads: +# physical cores$/,
      /^# Losses$/,
    ])
      expect(lines).toContainEqual(expect.stringMatching(line));
    const json = configAsJson(resolveWithOrigins(layers), flag);
    expect(json.lambda).toEqual({ value: 0.75, source: 'flag --lambda' });
    expect(json.batchSize).toEqual({ value: 8, source: 'photos.yaml' });
    expect(json).not.toHaveProperty('threads');
  });

  it.each(PRESET_NAMES)('of preset %s give it again', (name) => {
    const layers = [presetLayer(name)];
    expect(resolveConfig([{ source: '', values: parse(print(layers)) }])).toEqual(resolveConfig(layers));
  });

  it('give the same settings again, whatever they are', () => {
    const settings = fc.record(
      {
        imageSize: fc.integer({ min: 4, max: 1024 }),
        background: fc.stringMatching(/^#[0-9a-f]{6}$/),
        learningRate: fc.double({ min: 0, max: 1, minExcluded: true, noNaN: true }),
        wGI: fc.double({ min: 0, max: 1e6, noNaN: true }),
        emaHalfLife: fc.double({ min: 1e-300, max: 1e12, noNaN: true }),
        seed: fc.maxSafeNat(),
        maxImages: fc.integer({ min: 1, max: 1e15 }),
        threads: fc.integer({ min: 1, max: 1024 }),
        extractor: fc.string({ minLength: 1, unit: 'binary' }),
        targets: fc.subarray(['lgi<0.5', 'lgd > -1e-3', 'lrx<.5']),
        metrics: fc.subarray(['swd', 'reconstruction', 'latentMean']),
        estimator: fc.constantFrom('normal', 'sinkhorn'),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(settings, (values) => {
        const layers = [{ source: 'a\nb', values }];
        expect(resolveConfig([{ source: '', values: parse(print(layers)) }])).toEqual(resolveConfig(layers));
      }),
      { numRuns: 300 },
    );
  });

  it('are a config file, which may name its schema', async () => {
    const path = join(await temporaryFolder(), 'printed.yaml');
    await writeFile(path, `$schema: ./config.schema.json\n${print([presetLayer('128')])}`);
    expect(resolveConfig([await readConfigFile(path)])).toEqual(resolveConfig([presetLayer('128')]));
  });
});
