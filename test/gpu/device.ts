/**
 * The native half on a GPU, held to the processor and to the golden files: npm run test:gpu. By Node's own test runner,
 * since a machine with a GPU may have the production dependencies alone. SAN_NATIVE_TEST_DEVICE=cpu runs the same on the
 * processor, which shows that the tests themselves are sound.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { requireDevice } from '../../lib/device.js';
import {
  type ImageBatch,
  LOSS_NAMES,
  type Losses,
  type LossOptions,
  loadAddon,
  packageRoot,
  type TrainerOptions,
} from '../../lib/native.js';
import { compareGolden, failures } from '../golden/compare.js';
import { model, trainerOptions as usualOptions } from '../native/support.js';

const root = packageRoot();
const addon = loadAddon();
const { cuda } = addon.info();
const wanted = process.env.SAN_NATIVE_TEST_DEVICE ?? 'auto';
const device = requireDevice(wanted, cuda);
const skip = device === 'cpu' && wanted !== 'cpu' ? (cuda.fault ?? 'there is no device') : false;
if (skip) console.log(`no test of the GPU is run: ${skip}`);
else
  console.log(
    `device: ${device}${cuda.devices.map(({ name, capability }) => `, ${name} (${capability})`).join('')}`,
  );

const STEPS = 12;
/** With all that an update can do. */
const trainerOptions = (changes: Partial<TrainerOptions> = {}) =>
  usualOptions({ optimizer: { ...usualOptions().optimizer, checkerboardFree: true }, ...changes });
const penalty = { ...trainerOptions().loss, penaltyWeight: 1, penaltyEvery: 2 };
const onDevice = (changes: Partial<TrainerOptions> = {}) => trainerOptions({ device, ...changes });

/** Rounding takes a value that is near ADO's threshold to its other side; where everything passes numbers are near each other. */
const smooth = { ...model, adoThreshold: 0 };

interface Run {
  losses: Losses[];
  images: ImageBatch;
}

/** Of a capture that fails the work is queued as it is, and what is captured would be compared with itself. */
const expectCaptured = (warnings: readonly string[]) =>
  assert.deepEqual(
    warnings.filter((text) => text.includes('without a CUDA graph')),
    [],
  );

async function run(options: TrainerOptions, steps = STEPS): Promise<Run> {
  const trainer = await addon.createTrainer(options);
  try {
    const { losses, warnings } = await trainer.run({ steps });
    if (process.env.SAN_NATIVE_GRAPHS !== '0') expectCaptured(warnings);
    return { losses, images: await trainer.generate({ seed: 3, count: 20 }) };
  } finally {
    await trainer.dispose();
  }
}

/** Largest difference of a loss, as a share of the second. */
const apart = (a: Losses, b: Losses) =>
  Math.max(...LOSS_NAMES.map((name) => Math.abs(a[name] - b[name]) / Math.max(1e-3, Math.abs(b[name]))));

const levelsApart = (a: ImageBatch, b: ImageBatch) =>
  a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - (b.data[i] ?? Number.NaN))), 0);

const folders = [`${root}test/golden/`, `${root}../shared/spec/golden/`].filter(existsSync);
for (const file of folders.flatMap((folder) => readdirSync(folder).map((name) => folder + name))) {
  if (!file.endsWith('.safetensors')) continue;
  for (const dtype of ['float64', 'float32'] as const)
    test(`golden file ${file.slice(root.length)}, ${dtype}`, { skip }, async () => {
      assert.deepEqual(failures(await compareGolden(addon, file, dtype, device), dtype), []);
    });
}

const kinds: Record<string, Partial<LossOptions>> = {
  normal: { estimator: 'normal' },
  sliced: { estimator: 'sliced' },
  sinkhorn: { estimator: 'sinkhorn' },
  dual: { estimator: 'dual' },
  R1: { penaltyForm: 'r1' },
  'judged reconstructions': { reconstructionShare: 0.5 },
};
for (const [kind, loss] of Object.entries(kinds))
  test(`losses and images are the processor's: ${kind}`, { skip }, async () => {
    const changes = { model: smooth, loss: { ...penalty, ...loss } };
    const [here, there] = [await run(trainerOptions(changes), 3), await run(onDevice(changes), 3)];
    for (const [i, losses] of here.losses.entries())
      assert.ok(apart(there.losses[i] as Losses, losses) < (i > 0 ? 0.05 : 1e-3));
  });

test("images of the same weights are the processor's, but for a grey level", { skip }, async () => {
  const trainer = await addon.createTrainer(trainerOptions({ model: smooth }));
  const { tensors } = await trainer.state();
  await trainer.dispose();
  const [here, there] = await Promise.all(
    (['cpu', device] as const).map(async (place) => {
      const network = await addon.createNetwork({ model: smooth, tensors, device: place });
      const images = await network.generate({ seed: 1, count: 40 });
      await network.dispose();
      return images;
    }),
  );
  assert.ok(levelsApart(here as ImageBatch, there as ImageBatch) <= 1);
});

test('captured images are the bits of those that are not, however many are asked for; bf16 is near', {
  skip,
}, async () => {
  const trainer = await addon.createTrainer(trainerOptions({ model: smooth }));
  const { tensors } = await trainer.state();
  await trainer.dispose();
  const draw = async (precision: 'fp32' | 'bf16', counts: number[]) => {
    const network = await addon.createNetwork({ model: smooth, tensors, device, precision });
    try {
      const batches = [];
      // Later batches are replayed.
      for (const count of counts) batches.push(await network.generate({ seed: 1, count }));
      if (process.env.SAN_NATIVE_GRAPHS !== '0') expectCaptured(addon.warnings());
      return batches;
    } finally {
      await network.dispose();
    }
  };
  const [first, many, again] = await draw('fp32', [3, 1500, 3]);
  assert.deepEqual(again, first);
  assert.deepEqual(many?.data.subarray(0, first?.data.length), first?.data);
  process.env.SAN_NATIVE_GRAPHS = '0';
  try {
    assert.deepEqual(await draw('fp32', [1500]), [many]);
  } finally {
    delete process.env.SAN_NATIVE_GRAPHS;
  }
  // A CPU without such instructions refuses.
  if (device !== 'cpu')
    assert.ok(levelsApart((await draw('bf16', [3]))[0] as ImageBatch, first as ImageBatch) < 64);
});

test('captured steps are the bits of those that are not, with and without the penalty', {
  skip,
}, async () => {
  const captured = await run(onDevice({ loss: penalty }));
  process.env.SAN_NATIVE_GRAPHS = '0';
  try {
    assert.deepEqual(await run(onDevice({ loss: penalty })), captured);
  } finally {
    delete process.env.SAN_NATIVE_GRAPHS;
  }
});

test('a run that is taken up again has the bits of an unbroken one, and goes on on the processor', {
  skip,
}, async () => {
  const whole = await run(onDevice({ loss: penalty }));
  const first = await addon.createTrainer(onDevice({ loss: penalty }));
  const begun = await first.run({ steps: 5 });
  const state = await first.state();
  await first.dispose();
  const rest = await run(onDevice({ loss: penalty, state }), STEPS - 5);
  assert.deepEqual([...begun.losses, ...rest.losses], whole.losses);
  assert.deepEqual(rest.images, whole.images);
  const here = await run(trainerOptions({ loss: penalty, state }), 1);
  assert.ok(apart(here.losses[0] as Losses, whole.losses[5] as Losses) < 1e-2);
});

test('a step with a NaN is skipped, and told', { skip }, async () => {
  const trainer = await addon.createTrainer(onDevice({ faults: { nanGradient: [2, 7] } }));
  const report = await trainer.run({ steps: 8 });
  assert.deepEqual(
    report.skipped.map(({ step }) => step),
    [2, 7],
  );
  assert.match(report.skipped[0]?.what ?? '', /^gradient of kernel\.latent in the generator$/);
  assert.equal((await trainer.state()).skipped, 2);
  await trainer.dispose();
});

test('schedules change the rates of captured steps', { skip }, async () => {
  const trainer = await addon.createTrainer(onDevice());
  await trainer.run({ steps: 6 });
  const rates = (learningRate: number) => ({
    learningRate: Float64Array.of(learningRate, learningRate),
    lambda: Float64Array.of(0.5, 0.5),
    emaDecay: Float64Array.of(0.9, 0.9),
    repulsionWeight: Float64Array.of(0.3, 0.3),
  });
  const before = await trainer.state();
  await trainer.run({ steps: 2, schedule: rates(1e-12) });
  const still = await trainer.state();
  await trainer.run({ steps: 2, schedule: rates(1e-2) });
  const moved = await trainer.state();
  const kernel = (state: typeof before) => {
    const { data } = state.tensors[0] as { data: Uint8Array };
    return new Float32Array(data.slice().buffer);
  };
  const most = (a: Float32Array, b: Float32Array) =>
    a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] as number))), 0);
  assert.ok(most(kernel(still), kernel(before)) < 1e-9);
  assert.ok(most(kernel(moved), kernel(still)) > 1e-3);
  await trainer.dispose();
});

for (const precision of ['tf32', 'bf16'] as const)
  test(`${precision} stays near fp32`, { skip }, async () => {
    const exact = await run(onDevice({ model: smooth }), 3);
    const rough = await run(onDevice({ model: smooth, precision }), 3);
    assert.ok(apart(rough.losses[0] as Losses, exact.losses[0] as Losses) < 0.05);
    assert.ok(rough.losses.every((losses) => LOSS_NAMES.every((name) => Number.isFinite(losses[name]))));
  });

test('memory that runs out is an error with its code, and the next trainer works', {
  skip:
    skip || (device === 'cpu' && 'a processor has swap and overcommitted memory, not a limit to run into'),
}, async () => {
  const size = 64;
  const widths = [64, 64, 64, 64, 64, 64, 64];
  const large = { ...model, widths, strides: [2, 2, 2, 2, 2, 2] };
  // Of less than 2^31 elements each, which is what convolutions take for sure.
  const count = 3072;
  const data = new Uint8Array(count * size * size * 3);
  const images: ImageBatch = { data, shape: [count, size, size, 3] };
  // A tensor of all channels at full size takes 3.2 GB, or twice that in G, and a step keeps dozens.
  const trainer = await addon.createTrainer(onDevice({ model: large, images, batchSize: count }));
  await assert.rejects(trainer.run({ steps: 1 }), { code: 'ERR_SAN_OUT_OF_MEMORY' });
  await trainer.dispose();
  await run(onDevice(), 1);
});
