/** What a trainer does with schedules, with steps that are not finite, and when it goes back to a state. */
import { expect, test } from 'vitest';
import { NativeError } from '../../lib/errors.js';
import { loadAddon, type NativeTrainer, type StepSchedule, type TrainerOptions } from '../../lib/native.js';
import { model, trainerOptions } from './support.js';

const addon = loadAddon();

async function withTrainer<T>(
  changes: Partial<TrainerOptions>,
  use: (trainer: NativeTrainer) => Promise<T>,
): Promise<T> {
  const trainer = await addon.createTrainer(trainerOptions(changes));
  try {
    return await use(trainer);
  } finally {
    await trainer.dispose();
  }
}

const constant = (steps: number, changes: Partial<Record<keyof StepSchedule, number>> = {}): StepSchedule => {
  const values = { learningRate: 1e-3, lambda: 0.5, emaDecay: 0.9, repulsionWeight: 0.3, ...changes };
  const array = (key: keyof StepSchedule) => new Float64Array(steps).fill(values[key]);
  return {
    learningRate: array('learningRate'),
    lambda: array('lambda'),
    emaDecay: array('emaDecay'),
    repulsionWeight: array('repulsionWeight'),
  };
};

const stateAfter = (steps: number, schedule?: StepSchedule, changes: Partial<TrainerOptions> = {}) =>
  withTrainer(changes, async (trainer) => {
    await trainer.run({ steps, ...(schedule && { schedule }) });
    return trainer.state();
  });

test('a schedule of the constants changes nothing', async () => {
  expect(await stateAfter(4, constant(4))).toEqual(await stateAfter(4));
});

test.each([
  ['learningRate', { learningRate: 5e-4 }],
  ['lambda', { lambda: 0.25 }],
  ['emaDecay', { emaDecay: 0.5 }],
] as const)('a scheduled %s does what the constant does', async (key, change) => {
  const optimizer = { ...trainerOptions().optimizer, ...change };
  expect(await stateAfter(3, constant(3, change))).toEqual(await stateAfter(3, undefined, { optimizer }));
  expect(await stateAfter(3, constant(3, change)), key).not.toEqual(await stateAfter(3));
});

test('a scheduled repulsionWeight does what the constant does', async () => {
  const loss = { ...trainerOptions().loss, repulsionWeight: 0.1 };
  expect(await stateAfter(3, constant(3, { repulsionWeight: 0.1 }))).toEqual(
    await stateAfter(3, undefined, { loss }),
  );
});

test('a learning rate of 0 leaves the parameters alone', async () => {
  const before = await stateAfter(1);
  const after = await withTrainer({ state: before }, async (trainer) => {
    await trainer.run({ steps: 2, schedule: constant(2, { learningRate: 0 }) });
    return trainer.state();
  });
  const kernel = ({ tensors }: typeof before) => tensors.find(({ name }) => name === 'kernel.latent');
  expect(kernel(after)).toEqual(kernel(before));
});

test.each([
  ['too short', constant(2), /learningRate has 2 entries; it must have 3/],
  ['out of range', constant(3, { lambda: 2 }), /lambda is 2/],
  ['not a number', constant(3, { learningRate: Number.NaN }), /learningRate is nan/],
  [
    'no array',
    { ...constant(3), emaDecay: [1] as unknown as Float64Array },
    /emaDecay must be a Float64Array/,
  ],
])('a schedule that is %s is refused', async (_, schedule, message) => {
  await withTrainer({}, async (trainer) => {
    await expect(trainer.run({ steps: 3, schedule })).rejects.toThrow(message);
    expect((await trainer.state()).step).toBe(0);
  });
});

test('a step with a NaN in a gradient changes nothing but the counters and is told', async () => {
  await withTrainer({ faults: { nanGradient: [3] } }, async (trainer) => {
    await trainer.run({ steps: 2 });
    const before = await trainer.state();
    const report = await trainer.run({ steps: 1 });
    expect(report.skipped).toEqual([{ step: 3, what: 'gradient of kernel.latent in the generator' }]);
    expect(await trainer.state()).toEqual({ ...before, step: 3, skipped: 1 });
    const later = await trainer.run({ steps: 2 });
    expect(later.skipped).toEqual([]);
    const after = await trainer.state();
    expect([after.step, after.skipped]).toEqual([5, 1]);
    for (const { data, name } of after.tensors) {
      const values = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
      expect(values.every(Number.isFinite), name).toBe(true);
    }
  });
});

test('a state with skipped steps continues as if unbroken', async () => {
  const faults = { nanGradient: [1, 2] };
  const half = await stateAfter(3, undefined, { faults });
  expect(half.skipped).toBe(2);
  expect(await stateAfter(3, undefined, { state: half })).toEqual(await stateAfter(6, undefined, { faults }));
});

test('a loss that is not finite is told before any gradient', async () => {
  const state = await stateAfter(1);
  const bias = state.tensors.find(({ name }) => name === 'reverser.latent.bias');
  new Float32Array(bias?.data.buffer ?? new ArrayBuffer(4), bias?.data.byteOffset, 1)[0] = Number.NaN;
  await withTrainer({ state }, async (trainer) => {
    const { skipped } = await trainer.run({ steps: 2 });
    expect(skipped).toEqual([
      { step: 2, what: 'loss lgd' },
      { step: 3, what: 'loss lgd' },
    ]);
  });
});

test('a failed allocation is an error that leaves the trainer usable', async () => {
  const unbroken = await stateAfter(4);
  await withTrainer({ faults: { outOfMemory: [3] } }, async (trainer) => {
    await expect(trainer.run({ steps: 4 })).rejects.toMatchObject({ code: 'ERR_SAN_OUT_OF_MEMORY' });
    expect((await trainer.state()).step).toBe(2);
    await trainer.run({ steps: 2 });
    expect(await trainer.state()).toEqual(unbroken);
  });
});

test('restore() goes back to a state, and to the beginning', async () => {
  await withTrainer({}, async (trainer) => {
    const beginning = await trainer.state();
    await trainer.run({ steps: 2 });
    const two = await trainer.state();
    await trainer.run({ steps: 2 });
    const four = await trainer.state();
    await trainer.restore({ state: two });
    expect(await trainer.state()).toEqual(two);
    await trainer.run({ steps: 2 });
    expect(await trainer.state()).toEqual(four);
    await trainer.restore({});
    expect(await trainer.state()).toEqual(beginning);
    await trainer.run({ steps: 4 });
    expect(await trainer.state()).toEqual(four);
  });
});

test('a state that does not fit is refused and changes nothing', async () => {
  await withTrainer({}, async (trainer) => {
    await trainer.run({ steps: 1 });
    const before = await trainer.state();
    const state = { ...before, step: 9, tensors: before.tensors.slice(0, -1) };
    await expect(trainer.restore({ state })).rejects.toBeInstanceOf(NativeError);
    expect(await trainer.state()).toEqual(before);
  });
});

test('decode() and reverse() are those of a network with the trainer’s weights', async () => {
  await withTrainer({}, async (trainer) => {
    await trainer.run({ steps: 2 });
    const network = await addon.createNetwork({ model, tensors: (await trainer.state()).tensors });
    const latents = await addon.latents({ seed: 5, count: 3, latentChannels: 8, latentSize: 1 });
    const images = await trainer.decode({ latents });
    expect(images).toEqual(await network.decode({ latents }));
    expect(images).toEqual(await trainer.generate({ seed: 5, count: 3 }));
    expect(await trainer.reverse({ images })).toEqual(await network.reverse({ images }));
    await network.dispose();
  });
});
