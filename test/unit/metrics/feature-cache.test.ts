import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Evaluator } from '../../../lib/metrics/evaluator.js';
import { cacheKey, readFeatures, writeFeatures } from '../../../lib/metrics/feature-cache.js';
import type { FeatureBatch } from '../../../lib/native.js';
import { temporaryFolder } from '../support/temporary.js';
import { extractorFile, fakeSampler, levels, settings, watchedAddon } from './support.js';

const features: FeatureBatch = { data: Float32Array.from([1, 2, 3, 4, 5, 6]), shape: [3, 2] };
const KEY = cacheKey(['some', 'parts']);

async function stored(): Promise<{ folder: string; file: string }> {
  const folder = await temporaryFolder();
  await writeFeatures(folder, KEY, features);
  return { folder, file: join(folder, 'features', `${KEY}.safetensors`) };
}

describe('stored features', () => {
  it('come back as they were', async () => {
    const { folder } = await stored();
    expect(await readFeatures(folder, KEY, 3)).toEqual(features);
    expect(await readdir(join(folder, 'features'))).toHaveLength(1);
  });

  it('are not there under another key or for another count', async () => {
    const { folder } = await stored();
    expect(await readFeatures(folder, cacheKey(['some', 'other']), 3)).toBeUndefined();
    expect(await readFeatures(folder, KEY, 2)).toBeUndefined();
  });

  it('are not taken from a file under another name', async () => {
    const { folder, file } = await stored();
    const other = cacheKey(['another']);
    await rename(file, join(folder, 'features', `${other}.safetensors`));
    expect(await readFeatures(folder, other, 3)).toBeUndefined();
  });

  it('are not taken when any byte has changed, or some are missing', async () => {
    const { folder, file } = await stored();
    const whole = await readFile(file);
    for (let i = 0; i < whole.length; i++) {
      const changed = Buffer.from(whole);
      changed[i] = (changed[i] as number) ^ 1;
      await writeFile(file, changed);
      expect(await readFeatures(folder, KEY, 3), `byte ${i}`).toBeUndefined();
    }
    await writeFile(file, whole.subarray(0, -4));
    expect(await readFeatures(folder, KEY, 3)).toBeUndefined();
    await writeFile(file, 'not safetensors');
    expect(await readFeatures(folder, KEY, 3)).toBeUndefined();
  });

  it('may fail to be written', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await writeFeatures(join(folder, 'file'), KEY, features);
    expect(await readFeatures(join(folder, 'file'), KEY, 3)).toBeUndefined();
    await mkdir(join(folder, 'closed'));
    await chmod(join(folder, 'closed'), 0o500);
    await writeFeatures(join(folder, 'closed'), KEY, features);
  });
});

describe('the Evaluator', () => {
  async function prepared() {
    const files = await extractorFile();
    /** Features taken of real images when an Evaluator is made. */
    const taken = async (changes: Parameters<typeof settings>[0] = {}, dataHash = 'data', count = 300) => {
      const { addon, extractor, frechetDistance } = watchedAddon();
      const evaluator = await Evaluator.create({
        addon,
        images: levels(count),
        dataHash,
        config: settings({ metrics: ['fd'], extractor: files.extractor, ...changes }),
        cacheFolder: files.cacheFolder,
      });
      const calls = extractor.features.mock.calls.length;
      await evaluator.evaluate(fakeSampler());
      return { calls, real: frechetDistance.mock.calls[0]?.[0].real };
    };
    return { ...files, taken };
  }

  it('takes the features of real images once', async () => {
    const { taken } = await prepared();
    const first = await taken();
    const second = await taken();
    expect([first.calls, second.calls]).toEqual([2, 0]);
    expect(second.real).toEqual(first.real);
  });

  it('takes them again of other data, by another extractor, at another size, range or count', async () => {
    const { taken, extractor } = await prepared();
    const calls = async (...args: Parameters<typeof taken>) => (await taken(...args)).calls;
    await taken();
    expect(await calls({}, 'other data')).toBe(2);
    expect(await calls({ extractorSize: 299 })).toBe(2);
    expect(await calls({ extractorRange: '0..1' })).toBe(2);
    expect(await calls({ metricCount: 200 })).toBe(1);
    // Whatever else differs.
    expect(await calls({ seed: 8, threads: 2, metrics: ['fd', 'swd'], metricCount: 900 })).toBe(0);
    await writeFile(extractor, 'another module');
    expect(await calls()).toBe(2);
  });

  it('replaces a damaged file', async () => {
    const { taken, cacheFolder } = await prepared();
    await taken();
    const folder = join(cacheFolder, 'features');
    const [name = ''] = await readdir(folder);
    const bytes = await readFile(join(folder, name));
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    await writeFile(join(folder, name), bytes);
    expect((await taken()).calls).toBe(2);
    expect((await taken()).calls).toBe(0);
  });
});
