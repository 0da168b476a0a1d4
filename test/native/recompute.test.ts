/** Modules that run again in the backward pass: the same numbers in less memory. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { loadAddon } from '../../lib/native.js';
import { root, trainerOptions } from './support.js';

test.each(['fp32', 'bf16'] as const)('a run has the same bits: %s', async (precision) => {
  const loss = { ...trainerOptions().loss, penaltyWeight: 1, penaltyEvery: 2 };
  const [kept, again] = await Promise.all(
    [false, true].map(async (recompute) => {
      const trainer = await loadAddon().createTrainer(trainerOptions({ loss, precision, recompute }));
      const { losses } = await trainer.run({ steps: 3 });
      const state = await trainer.state();
      await trainer.dispose();
      return { losses, state };
    }),
  );
  expect(again).toEqual(kept);
});

/** Prints the most bytes that tensors held in a process of its own. */
const PROGRAM = `
const { loadAddon } = await import('./dist/lib/native.js');
const { trainerOptions } = await import('./dist/lib/training/trainer-options.js');
const { resolveConfig } = await import('./dist/lib/config/resolve.js');
const values = { imageSize: 32, batchSize: 16, device: 'cpu', recompute: process.argv[1] === 'true' };
const addon = loadAddon();
const images = { data: new Uint8Array(16 * 32 * 32 * 3), shape: [16, 32, 32, 3] };
const options = trainerOptions(resolveConfig([{ source: '', values }]), addon);
const trainer = await addon.createTrainer({ ...options, images });
await trainer.run({ steps: 1 });
console.log((await addon.deviceMemory({})).peak);
`;

test('the peak of memory is lower', () => {
  const [kept, again] = ['false', 'true'].map((recompute) => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', PROGRAM, recompute],
      { cwd: root, encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    return Number(stdout);
  });
  expect(kept).toBeGreaterThan(50e6);
  expect(again).toBeLessThan(0.7 * (kept ?? 0));
});
