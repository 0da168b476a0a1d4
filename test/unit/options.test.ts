import { describe, expect, it } from 'vitest';
import {
  dryRun,
  evaluate,
  exportOnnx,
  findNeighbors,
  inspectCheckpoint,
  inspectData,
  interpolateImages,
  precisionError,
  prepare,
  previewAugmentation,
  profile,
  reconstructImages,
  reverseImages,
  type San,
  SanError,
  scoreImages,
  scoreReference,
  train,
} from '../../lib/index.js';
import { requireKeys, requireObject } from '../../lib/options.js';
import { brief, shown } from '../../lib/shown.js';

const san = { reverse() {}, config: {} } as unknown as San;

const calls: Record<string, (options: never) => Promise<unknown>> = {
  dryRun,
  evaluate,
  exportOnnx,
  findNeighbors: (options) => findNeighbors(san, options),
  inspectData,
  interpolateImages: (options) => interpolateImages(san, options),
  prepare,
  previewAugmentation,
  profile: (options) => profile(options, async () => {}),
  reconstructImages: (options) => reconstructImages(san, options),
  reverseImages: (options) => reverseImages(san, options),
  scoreImages: (options) => scoreImages(san, options),
  train: (options) => train(options).next(),
};

describe('options of the API', () => {
  for (const [name, call] of Object.entries(calls)) {
    it.each([undefined, null, 5, 'photos', [] as unknown])(
      `${name}(%j) is told what it needs`,
      async (value) => {
        await expect(call(value as never)).rejects.toMatchObject({
          code: 'ERR_SAN_OPTIONS',
          message: expect.stringMatching(/^options = .*: expected an object such as \{ /),
        });
      },
    );
  }

  const withSan: Record<string, (san: San) => Promise<unknown>> = {
    findNeighbors: (san) => findNeighbors(san, { data: 'photos', out: 'n', seed: 1 }),
    interpolateImages: (san) =>
      interpolateImages(san, { from: { seed: 1, index: 0 }, to: { seed: 1, index: 1 }, out: 'way.png' }),
    precisionError: (san) => precisionError(san, { seed: 1, count: 1 }),
    reconstructImages: (san) => reconstructImages(san, { data: 'photos', out: 'sheet.png' }),
    reverseImages: (san) => reverseImages(san, { data: 'photos', out: 'latents.npy' }),
    scoreImages: (san) => scoreImages(san, { data: 'photos', out: 'scores.csv', reference: 'photos' }),
    scoreReference: (san) => scoreReference(san, { data: 'photos' }),
  };
  for (const [name, call] of Object.entries(withSan)) {
    it.each([
      [undefined, 'san = undefined: expected what `await San.load('],
      ['runs/photos', 'san = "runs/photos": expected what'],
      // await forgotten
      [Promise.resolve(san), 'san = Promise {'],
      [Object.create(null) as unknown, 'san = [Object: null prototype] {}: expected what'],
    ])(`${name}() tells what it needs in place of %o`, async (value, message) => {
      await expect(call(value as San)).rejects.toMatchObject({
        code: 'ERR_SAN_OPTIONS',
        message: expect.stringContaining(message),
        details: { field: 'san' },
      });
    });
  }

  const controlled: Record<string, (control: never) => Promise<unknown>> = {
    dryRun: (control) => dryRun({ data: 'photos' }, control),
    evaluate: (control) => evaluate({ checkpoint: 'run', data: 'photos' }, control),
    findNeighbors: (control) => findNeighbors(san, { data: 'photos', out: 'n.png' }, control),
    inspectData: (control) => inspectData({ source: 'photos' }, control),
    prepare: (control) => prepare({ source: 'photos', out: 'photos.npy', imageSize: 8 }, control),
    previewAugmentation: (control) => previewAugmentation({ data: 'photos' }, control),
    reverseImages: (control) => reverseImages(san, { data: 'photos', out: 'z.npy' }, control),
    scoreReference: (control) => scoreReference(san, { data: 'photos' }, control),
    train: (control) => train({ data: 'photos', out: 'run' }, control).next(),
  };
  for (const [name, call] of Object.entries(controlled)) {
    it.each([
      [null, 'control = null: expected an object such as { signal, '],
      [5, 'control = 5: expected an object such as { signal, '],
      [{ sginal: undefined }, 'unknown key of control "sginal"; did you mean signal?'],
      [{ signal: 'x' }, 'signal = "x": expected an AbortSignal'],
      [{ signal: {} }, 'signal = {}: expected an AbortSignal'],
    ])(`${name}() refuses the control %j`, async (control, message) => {
      await expect(call(control as never)).rejects.toMatchObject({
        code: 'ERR_SAN_OPTIONS',
        message: expect.stringContaining(message),
      });
    });
  }

  it('refuses callbacks of train() that are none, and ranks and profiles that cannot be', async () => {
    const options = { data: 'photos', out: 'run' };
    for (const key of ['checkpointWanted', 'log', 'onProfile', 'profile', 'ranks'])
      await expect(train(options, { [key]: 5 } as never).next()).rejects.toMatchObject({
        code: 'ERR_SAN_OPTIONS',
        details: { field: key },
      });
  });

  const paths: Record<string, [field: string, call: (path: never) => Promise<unknown>]> = {
    dryRun: ['data', (data) => dryRun({ data })],
    evaluate: ['checkpoint', (checkpoint) => evaluate({ checkpoint, data: 'photos' })],
    'evaluate, data': ['data', (data) => evaluate({ checkpoint: 'run', data })],
    exportOnnx: ['checkpoint', (checkpoint) => exportOnnx({ checkpoint, out: 'models' })],
    inspectCheckpoint: ['runOrFile', inspectCheckpoint],
    inspectData: ['source', (source) => inspectData({ source })],
    prepare: ['source', (source) => prepare({ source, out: 'photos.npy', imageSize: 8 })],
    previewAugmentation: ['data', (data) => previewAugmentation({ data })],
    profile: ['path', (path) => profile({ path }, async () => {})],
    scoreReference: ['data', (data) => scoreReference(san, { data })],
  };
  for (const [name, [field, call]] of Object.entries(paths)) {
    it.each([undefined, '', 5])(`${name}: a path of %j is told by its field`, async (path) => {
      await expect(call(path as never)).rejects.toMatchObject({
        code: 'ERR_SAN_OPTIONS',
        details: { field },
      });
    });
  }

  it('refuses options of precisionError() and profile() that it does not know', async () => {
    await expect(precisionError(san, { seed: 1, count: 1, cuont: 1 } as never)).rejects.toThrow(
      'unknown option "cuont"; did you mean count?',
    );
    await expect(precisionError(san, { seed: 1 } as never)).rejects.toThrow('count = undefined: expected');
    await expect(profile({ path: 'p', waht: 'all' } as never, async () => {})).rejects.toThrow(
      'unknown option "waht"; did you mean what?',
    );
  });

  it('tells of large values in few words, and of those that JSON lacks', () => {
    const pixels = new Uint8Array(1e6);
    const { details, message } = new SanError('ERR_SAN_OPTIONS', shown({ pixels }), { value: { pixels } });
    expect(message).toBe('{ pixels: [Uint8Array] }');
    expect(details).toEqual({ value: message });
    expect(brief(Array(1000).fill(1))).toMatch(/^\[ 1, 1, 1, 1, \.\.\. 996 more items \]$/);
    expect([brief([4, 16, 16]), brief('photos'), brief(1n)]).toEqual([[4, 16, 16], 'photos', '1n']);
    expect(shown('x'.repeat(1e6)).length).toBeLessThan(300);
    expect(shown(new Error('a\nb'))).not.toContain('\n');
  });

  it('a config key that is a bigint is refused as any other wrong value', async () => {
    await expect(train({ data: 'photos', out: 'run', seed: 1n } as never).next()).rejects.toMatchObject({
      code: 'ERR_SAN_CONFIG',
      message: 'seed = 1n: expected a whole number from 0 to 9007199254740991',
    });
  });

  it('names the function that profile() lacks', async () => {
    await expect(profile({ path: 'trace.json' }, undefined as never)).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
      details: { field: 'work' },
    });
  });

  it('shows what it was given', () => {
    expect(() => requireObject('photos', '{ data }')).toThrow(
      'options = "photos": expected an object such as { data }',
    );
    expect(() => requireKeys({ dta: 1 }, ['data'])).toThrow('unknown option "dta"; did you mean data?');
  });
});
