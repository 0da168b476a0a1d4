/** The last two kernels of stride 2 are held to those that make a flat output of a flat input. */
import { expect, test } from 'vitest';
import { loadAddon, type TrainerOptions, type TrainerState } from '../../lib/native.js';
import { model, trainerOptions } from './support.js';

const addon = loadAddon();
const optimizer = { ...trainerOptions().optimizer, checkerboardFree: true };
/** Taps of a 3x3 kernel, row by row, by the pixels that they make: even or odd rows and columns. */
const COMPONENTS = [[4], [3, 5], [1, 7], [0, 2, 6, 8]];

async function stateAfter(steps: number, changes: Partial<TrainerOptions> = {}): Promise<TrainerState> {
  const trainer = await addon.createTrainer(trainerOptions({ optimizer, ...changes }));
  if (steps > 0) await trainer.run({ steps });
  const state = await trainer.state();
  await trainer.dispose();
  return state;
}

/** The largest difference between the sums of a kernel's polyphase components. */
function unevenness(state: TrainerState, name: string): number {
  const tensor = state.tensors.find((one) => one.name === name);
  const values = new Float32Array(tensor?.data.slice().buffer ?? new ArrayBuffer(0));
  expect(values.length).toBeGreaterThan(0);
  let most = 0;
  for (let at = 0; at < values.length; at += 9) {
    const sums = COMPONENTS.map((taps) => taps.reduce((sum, tap) => sum + (values[at + tap] as number), 0));
    most = Math.max(most, Math.max(...sums) - Math.min(...sums));
  }
  return most;
}

const doubling = model.strides.flatMap((stride, m) => (stride === 2 ? [`kernel.m${m}.b0`] : []));
const [held, free] = [doubling.slice(-2), doubling.slice(0, -2)];

test.each([0, 4])('the last two and their average after %i steps; no others', async (steps) => {
  const state = await stateAfter(steps);
  expect([held.length, free.length]).toEqual([2, 1]);
  for (const name of held)
    for (const tensor of [name, `ema.${name}`]) expect(unevenness(state, tensor)).toBeLessThan(1e-5);
  for (const name of [...free, 'kernel.m5.b0', 'kernel.m0.b1'])
    expect(unevenness(state, name)).toBeGreaterThan(0.1);
});

test('without the setting they are free; weights of such a run are held from the first step on', async () => {
  const before = await stateAfter(2, { optimizer: { ...optimizer, checkerboardFree: false } });
  for (const name of held) expect(unevenness(before, name)).toBeGreaterThan(0.1);
  const weights = before.tensors.filter(({ name }) => !/^(ema|exp_avg|exp_avg_sq)\./.test(name));
  const begun = await stateAfter(0, { state: { step: 0, skipped: 0, tensors: weights } });
  for (const name of held) expect(unevenness(begun, name)).toBeLessThan(1e-5);
});
