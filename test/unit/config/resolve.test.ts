import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fields } from '../../../lib/config/fields.js';
import { readConfigFile } from '../../../lib/config/file.js';
import { presets } from '../../../lib/config/presets.js';
import { presetLayer, resolveConfig } from '../../../lib/config/resolve.js';
import { lossOptions, modelOptions, optimizerOptions } from '../../../lib/config/schema.js';
import { ConfigError } from '../../../lib/errors.js';
import { temporaryFolder } from '../support/temporary.js';

const layer = (values: Record<string, unknown>, source = '') => ({ source, values });
const resolve = (values: Record<string, unknown>) => resolveConfig([layer(values)]);

describe('resolveConfig', () => {
  it("has the spec's defaults, but for the losses that docs/ablations.md overrules", () => {
    const config = resolveConfig([]);
    expect(config).toMatchObject({
      wGD: 0.3,
      wGI: 1,
      wRX: 1,
      wLZ: 0.1,
      repulsionWeight: 1,
      repulsionMargin: 1,
      repulsionForm: 'exponential',
      lgiScales: [0.1, 0, 1],
      penaltyWeight: 1,
      penaltyEvery: 4,
    });
    expect(config).toMatchObject({ estimator: 'normal', pairing: 'cycle', lambda: 0.5 });
    expect(config).toMatchObject({ adoThreshold: 0.1, adoRatio: 0.5, rpaRatio: 0.5, attentionRatio: 0.25 });
    expect(config).toMatchObject({ sinkhornEpsilon: 0.05, sinkhornIterations: 100 });
    expect(config).toMatchObject({ reverserShift: 0, reverserShiftProbability: 0.7 });
    expect(config).not.toHaveProperty('threads');
  });

  it('lets later layers win, and undefined values count as absent', () => {
    const layers = [
      layer({ steps: 5, seed: 5, lambda: 0.1 }),
      layer({ steps: 6, seed: 6 }),
      layer({ steps: 7 }),
    ];
    expect(resolveConfig([...layers, layer({ steps: undefined })])).toMatchObject({
      steps: 7,
      seed: 6,
      lambda: 0.1,
      batchSize: 64,
    });
  });

  it('is settled: what it gives resolves to itself, in the same order', () => {
    const config = resolve({ imageSize: 64, widths: [8, 8, 8, 8, 8, 8, 4], threads: 2 });
    expect(JSON.stringify(resolve({ ...config }))).toBe(JSON.stringify(config));
  });

  it.each(Object.keys(presets))('takes the preset %s', (name) => {
    expect(resolveConfig([presetLayer(name)])).toMatchObject(presets[name as keyof typeof presets]);
  });

  it('reads the description literally in the preset paper', () => {
    const config = resolveConfig([presetLayer('paper')]);
    expect(config).toMatchObject({
      adoThreshold: 0.3,
      wGD: 1,
      wGI: 1,
      wRZ: 1,
      wRX: 1,
      wLZ: 0,
      lgiScales: [1],
      repulsionWeight: 0,
      penaltyEvery: 1,
      pairing: 'random',
    });
  });

  it.each<[Record<string, unknown>, string]>([
    [{ lambda: 1.5 }, 'lambda = 1.5: expected a number from 0 to 1'],
    [{ lambda: 'half' }, 'lambda = "half": expected a number from 0 to 1'],
    [{ lambda: null }, 'lambda = null: expected a number from 0 to 1'],
    [{ lambda: Number.NaN }, 'lambda = NaN: expected a number from 0 to 1'],
    [{ learningRate: 0 }, 'learningRate = 0: expected a number above 0 and at most 1'],
    [{ emaDecay: 1 }, 'emaDecay = 1: expected a number from 0 and below 1'],
    [{ steps: 1.5 }, 'steps = 1.5: expected a whole number from 1 to 1e9'],
    [{ seed: -1 }, 'seed = -1: expected a whole number from 0 to 9007199254740991'],
    [{ imageChannels: 4 }, 'imageChannels = 4: expected 1 or 3'],
    [{ background: 'white' }, 'background = "white": expected a colour such as "#ffffff"'],
    [{ estimator: 'exact' }, 'estimator = "exact": expected normal, sliced, sinkhorn or dual'],
    [{ widths: [8] }, 'widths = [8]: expected 7 whole numbers from 1 to 4096'],
    [{ strides: [2, 2, 2, 2, 2, 3] }, 'strides = [2,2,2,2,2,3]: expected 6 numbers, each 1 or 2'],
    [
      { lambda: 2, steps: 0 },
      'steps = 0: expected a whole number from 1 to 1e9; lambda = 2: expected a number from 0 to 1',
    ],
    [{ lamda: 0.5 }, 'unknown config key "lamda"; did you mean lambda?'],
    [{ learning_rate: 0.5 }, 'unknown config key "learning_rate"; did you mean learningRate?'],
    [{ zzzzzzzz: 1 }, 'unknown config key "zzzzzzzz"'],
  ])('refuses %o', (values, message) => {
    const caught = thrownBy(() => resolve(values));
    expect(caught).toBeInstanceOf(ConfigError);
    expect(caught).toMatchObject({ code: 'ERR_SAN_CONFIG' });
    const parts = (text: string) => text.split('; ').sort();
    expect(parts(caught.message)).toEqual(parts(message));
  });

  it('says which file a bad value stands in', () => {
    const layers = [layer({ lambda: 2 }, 'run.yaml'), layer({ steps: 3 })];
    expect(() => resolveConfig(layers)).toThrow('lambda = 2 in run.yaml: expected a number from 0 to 1');
    expect(() => resolveConfig([layer({ stepz: 2 }, 'run.yaml')])).toThrow(
      'unknown config key "stepz" in run.yaml; did you mean steps?',
    );
  });

  it('is not fooled by names every object has', () => {
    expect(() => resolve(JSON.parse('{"__proto__": 1}'))).toThrow(/unknown config key "__proto__"/);
    expect(() => resolve({ constructor: 1 })).toThrow(/unknown config key "constructor"/);
    expect(() => presetLayer('toString')).toThrow(ConfigError);
  });

  it('hands each part of the addon its own keys', () => {
    const config = resolveConfig([]);
    const modelKeys =
      'adoRatio adoThreshold attentionRatio imageChannels latentChannels latentSize rpaRatio strides widths';
    expect(Object.keys(modelOptions(config)).sort()).toEqual(modelKeys.split(' '));
    expect(lossOptions(config)).toMatchObject({ estimator: 'normal', wGD: 0.3, sinkhornIterations: 100 });
    expect(optimizerOptions(config)).toEqual({
      learningRate: 1e-3,
      weightDecay: 1e-2,
      lambda: 0.5,
      emaDecay: 0.99,
      checkerboardFree: false,
    });
  });
});

describe('fields', () => {
  it('describe every key fully', () => {
    for (const { description, expected, default: value } of fields) {
      expect(description).not.toBe('');
      expect(expected).not.toMatch(/undefined/);
      expect(value).not.toBe('undefined');
    }
  });
});

describe('readConfigFile', () => {
  it.each([
    ['run.yaml', 'imageSize: 64 # pixels\nwidths: [8, 8, 8, 8, 8, 8, 4]\n'],
    ['run.json', '{"imageSize": 64, "widths": [8, 8, 8, 8, 8, 8, 4]}'],
  ])('reads %s', async (name, text) => {
    const path = join(await temporaryFolder(), name);
    await writeFile(path, text);
    const { values, source } = await readConfigFile(path);
    expect(values).toEqual({ imageSize: 64, widths: [8, 8, 8, 8, 8, 8, 4] });
    expect(source).toBe(path);
  });

  it('takes an empty file for no settings', async () => {
    const path = join(await temporaryFolder(), 'empty.yaml');
    await writeFile(path, '# nothing\n');
    expect((await readConfigFile(path)).values).toEqual({});
  });

  it.each([
    ['- 1\n- 2\n', 'must be a map'],
    ['just text', 'must be a map'],
    ['steps: [1, 2', 'is not YAML or JSON'],
    ['steps: 1\nsteps: 2\n', 'is not YAML or JSON: Map keys must be unique at line 2, column 1'],
    [aliases(), 'cannot be understood: Excessive alias count'],
    ['steps: *none\n', 'cannot be understood: Unresolved alias'],
  ])('refuses %j', async (text, message) => {
    const path = join(await temporaryFolder(), 'bad.yaml');
    await writeFile(path, text);
    const caught = await readConfigFile(path).catch((error) => error);
    expect(caught).toBeInstanceOf(ConfigError);
    expect(caught.message).toContain(message);
    expect(caught.message).not.toMatch(/\n|:$/);
  });

  it('says when there is no such file', async () => {
    await expect(readConfigFile('/nowhere/run.yaml')).rejects.toThrow(
      'config file /nowhere/run.yaml cannot be read: no such file or folder',
    );
  });
});

/** Nine levels of lists of the level before, ten times: a billion values. */
function aliases(): string {
  const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`)}]`);
  return ['a0: &a0 [1]', ...levels].join('\n');
}

function thrownBy(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
