import { describe, expect, test } from 'vitest';
import { NativeError } from '../../lib/errors.js';
import { loadAddon, type NativeTensor, type TrainerOptions, type TrainerState } from '../../lib/native.js';
import { model, someImages, trainerOptions } from './support.js';

const addon = loadAddon();

async function trained(steps: number, changes: Partial<TrainerOptions> = {}): Promise<TrainerState> {
  const trainer = await addon.createTrainer(trainerOptions(changes));
  if (steps > 0) await trainer.run({ steps });
  const state = await trainer.state();
  await trainer.dispose();
  return state;
}

function tensorOf(state: TrainerState, name: string): NativeTensor {
  const found = state.tensors.find((tensor) => tensor.name === name);
  if (!found) throw new Error(`no tensor ${name}`);
  return found;
}

const penalty = { ...trainerOptions().loss, penaltyWeight: 1, penaltyEvery: 2 };
const variants: [string, Partial<TrainerOptions>][] = [
  ['cycle, normal', {}],
  ['without checkerboards', { optimizer: { ...trainerOptions().optimizer, checkerboardFree: true } }],
  ['assigned, sinkhorn', { loss: { ...trainerOptions().loss, pairing: 'assigned', estimator: 'sinkhorn' } }],
  ['random, sliced, penalty', { loss: { ...penalty, pairing: 'random', estimator: 'sliced' } }],
  ['cycle, dual, penalty', { loss: { ...penalty, estimator: 'dual' } }],
  ['judged reconstructions', { loss: { ...penalty, reconstructionShare: 0.5, wLZ: 0.1 } }],
  ['cycle, normal, R1', { loss: { ...penalty, penaltyForm: 'r1' } }],
];

describe.each(variants)('%s', (_, changes) => {
  test('two runs with one seed give the same bytes; another seed gives others', async () => {
    const [a, b] = [await trained(5, changes), await trained(5, changes)];
    expect(a).toEqual(b);
    const other = await trained(5, { ...changes, seed: 2 });
    expect(tensorOf(other, 'kernel.m0.b0')).not.toEqual(tensorOf(a, 'kernel.m0.b0'));
  });

  test('a run continued from its state equals an unbroken one', async () => {
    const half = await trained(3, changes);
    expect(await trained(4, { ...changes, state: half })).toEqual(await trained(7, changes));
  });
});

test('the state holds parameters, moving average and moments under the spec’s names', async () => {
  const state = await trained(1);
  const names = new Set(state.tensors.map(({ name }) => name));
  for (const { name, shape } of addon.parameters(model)) {
    expect(tensorOf(state, name).shape).toEqual(shape);
    const ofGenerator = !name.startsWith('reverser.');
    expect(names.has(`ema.${name}`), name).toBe(ofGenerator);
    expect(names.has(`exp_avg.generator.${name}`), name).toBe(ofGenerator);
    expect(names.has(`exp_avg_sq.reverser.${name}`), name).toBe(!name.startsWith('generator.'));
  }
  expect(state.step).toBe(1);
});

test('losses fall on a set that can be learnt', async () => {
  const trainer = await addon.createTrainer(trainerOptions({ images: someImages(4) }));
  const { losses } = await trainer.run({ steps: 60 });
  const mean = (part: typeof losses) => part.reduce((sum, { lgi }) => sum + lgi, 0) / part.length;
  expect(losses).toHaveLength(60);
  expect(mean(losses.slice(-10))).toBeLessThan(0.8 * mean(losses.slice(0, 10)));
  await trainer.dispose();
});

test('interrupt() ends a run after the step under way', async () => {
  const trainer = await addon.createTrainer(trainerOptions());
  const running = trainer.run({ steps: 1_000_000 });
  setTimeout(() => trainer.interrupt(), 100);
  const report = await running;
  expect(report.losses.length).toBeGreaterThan(0);
  expect(report.step).toBe(report.losses.length);
  expect((await trainer.run({ steps: 2 })).losses).toHaveLength(2);
  await trainer.dispose();
});

test('image i of a seed is the same in any batch', async () => {
  const { tensors } = await trained(3);
  const network = await addon.createNetwork({ model, tensors });
  const together = await network.generate({ seed: 5, count: 37 });
  expect(together.shape).toEqual([37, 8, 8, 3]);
  const size = 8 * 8 * 3;
  for (const [startIndex, count] of [
    [0, 1],
    [20, 1],
    [36, 1],
    [10, 17],
  ] as const) {
    const part = await network.generate({ seed: 5, startIndex, count });
    expect(
      Buffer.compare(part.data, together.data.subarray(startIndex * size, (startIndex + count) * size)),
    ).toBe(0);
  }
  await network.dispose();
});

test('a network decodes the latents that the seed stands for to the seed’s images, and reverses images', async () => {
  const { tensors } = await trained(3);
  const network = await addon.createNetwork({ model, tensors });
  const range = { seed: 9, startIndex: 3, count: 5 };
  const latents = await addon.latents({ ...range, latentChannels: 8, latentSize: 1 });
  expect(latents.shape).toEqual([5, 8, 1, 1]);
  expect(await network.decode({ latents })).toEqual(await network.generate(range));
  const reversed = await network.reverse({ images: someImages(5) });
  expect(reversed.shape).toEqual([5, 8, 1, 1]);
  expect(reversed.data.every(Number.isFinite)).toBe(true);
  await network.dispose();
});

test('images that stay in main memory, or wherever they fit, give one run', async () => {
  const states = [];
  for (const dataDevice of ['auto', 'host'] as const) {
    const trainer = await addon.createTrainer(trainerOptions({ dataDevice, threads: 1 }));
    await trainer.run({ steps: 2 });
    states.push(await trainer.state());
    await trainer.dispose();
  }
  expect(states[1]).toEqual(states[0]);
});

describe('what does not fit is refused with a code and the field', () => {
  const code = (code: string, text: RegExp) =>
    expect.objectContaining({ code, message: expect.stringMatching(text) as string });
  const loss = trainerOptions().loss;

  test.each<[string, unknown, string, RegExp]>([
    ['no options', undefined, 'ERR_SAN_OPTIONS', /trainer must be an object/],
    [
      'a key too many',
      { ...trainerOptions(), extra: 1 },
      'ERR_SAN_OPTIONS',
      /trainer\.extra is not an option/,
    ],
    [
      'widths',
      trainerOptions({ model: { ...model, widths: [16, 16, 8, 8, 8, 5, 4] } }),
      'ERR_SAN_OPTIONS',
      /widths holds the neighbours 8 and 5/,
    ],
    [
      'six widths',
      trainerOptions({ model: { ...model, widths: [4, 4, 4, 4, 4, 4] } }),
      'ERR_SAN_OPTIONS',
      /has 6 entries/,
    ],
    [
      'strides',
      trainerOptions({ model: { ...model, strides: [3, 1, 1, 1, 1, 1] } }),
      'ERR_SAN_OPTIONS',
      /strides/,
    ],
    [
      'images on a device that is the processor',
      trainerOptions({ dataDevice: 'device' }),
      'ERR_SAN_DEVICE',
      /dataDevice is 'device', but training runs on the processor/,
    ],
    [
      'a place for images that is none',
      { ...trainerOptions(), dataDevice: 'disk' },
      'ERR_SAN_OPTIONS',
      /dataDevice is 'disk'; it must be one of auto, device, host/,
    ],
    ['a fraction', trainerOptions({ batchSize: 1.5 }), 'ERR_SAN_OPTIONS', /batchSize is 1\.5/],
    [
      'an estimator',
      trainerOptions({ loss: { ...loss, estimator: 'best' as 'dual' } }),
      'ERR_SAN_OPTIONS',
      /'best'/,
    ],
    ['NaN', trainerOptions({ loss: { ...loss, wGI: Number.NaN } }), 'ERR_SAN_OPTIONS', /wGI/],
    [
      'lambda',
      trainerOptions({ optimizer: { ...trainerOptions().optimizer, lambda: 1.5 } }),
      'ERR_SAN_OPTIONS',
      /lambda/,
    ],
    [
      'image size',
      trainerOptions({ images: { data: new Uint8Array(147), shape: [1, 7, 7, 3] } }),
      'ERR_SAN_OPTIONS',
      /takes \[N, 8, 8, 3\]/,
    ],
    [
      'image bytes',
      trainerOptions({ images: { data: new Uint8Array(5), shape: [18, 8, 8, 3] } }),
      'ERR_SAN_OPTIONS',
      /5 bytes/,
    ],
    [
      'too few images',
      trainerOptions({ images: someImages(3) }),
      'ERR_SAN_OPTIONS',
      /batchSize is 4.*3 images/,
    ],
    [
      'no parameters',
      trainerOptions({ state: { step: 0, skipped: 0, tensors: [] } }),
      'ERR_SAN_CHECKPOINT_MISMATCH',
      /kernel\.latent/,
    ],
  ])('%s', async (_, options, errorCode, text) => {
    const attempt = addon.createTrainer(options as TrainerOptions);
    await expect(attempt).rejects.toEqual(code(errorCode, text));
    await expect(attempt).rejects.toBeInstanceOf(NativeError);
  });

  test('a state of another model', async () => {
    const { step, tensors } = await trained(1);
    const wider = { ...model, widths: [32, 16, 8, 8, 8, 4, 4] };
    await expect(
      addon.createTrainer(trainerOptions({ model: wider, state: { step, skipped: 0, tensors } })),
    ).rejects.toEqual(
      code(
        'ERR_SAN_CHECKPOINT_MISMATCH',
        /'kernel\.latent' has shape \[8, 16, 1, 1\]; this model needs \[8, 32, 1, 1\]/,
      ),
    );
    await expect(
      addon.createTrainer(trainerOptions({ state: { step, skipped: 0, tensors: tensors.slice(0, -1) } })),
    ).rejects.toEqual(code('ERR_SAN_CHECKPOINT_MISMATCH', /exp_avg_sq\.reverser\..* is missing/));
  });

  test('a trainer that was disposed, and one without images', async () => {
    const trainer = await addon.createTrainer(trainerOptions());
    await trainer.dispose();
    await trainer.dispose();
    await expect(trainer.run({ steps: 1 })).rejects.toEqual(code('ERR_SAN_DISPOSED', /disposed/));
    const { images: _, ...bare } = trainerOptions();
    const idle = await addon.createTrainer(bare);
    await expect(idle.run({ steps: 1 })).rejects.toEqual(code('ERR_SAN_OPTIONS', /without images/));
    await idle.dispose();
  });

  test('fixed inputs without the mixing weights that the penalty between images takes', async () => {
    const zeros = (name: string, ...shape: number[]): NativeTensor => ({
      name,
      dtype: 'float32',
      shape,
      data: new Uint8Array(4 * shape.reduce((a, b) => a * b)),
    });
    const inputs = {
      z: zeros('z', 2, 8, 1, 1),
      x: zeros('x', 2, 3, 8, 8),
      directions: zeros('directions', 8, 4),
      u: zeros('u', 2, 8),
    };
    const between = await addon.createTrainer(trainerOptions({ loss: penalty }));
    await expect(between.stepOn(inputs)).rejects.toEqual(code('ERR_SAN_OPTIONS', /^inputs\.e is missing/));
    await between.dispose();
    const atReal = await addon.createTrainer(trainerOptions({ loss: { ...penalty, penaltyForm: 'r1' } }));
    expect((await atReal.stepOn(inputs)).losses.gp).toBe(0);
    await atReal.dispose();
  });

  test('the classes behind the objects cannot be constructed', async () => {
    const trainer = await addon.createTrainer(trainerOptions());
    const Constructor = trainer.constructor as new (...args: unknown[]) => unknown;
    expect(() => new Constructor()).toThrow(/cannot be constructed/);
    expect(() => new Constructor({})).toThrow(/cannot be constructed/);
    await trainer.dispose();
  });
});
