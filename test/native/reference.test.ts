/** SAN_NATIVE_REFERENCE=1: every operation as plain ATen calls. It is what a fault is looked for with, so it must work. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { root, runNode } from './support.js';

const reference = { SAN_NATIVE_REFERENCE: '1' };

test('the references agree with the golden file', async () => {
  const args = [`${root}dist/test/golden/cli.js`, `${root}test/golden/small.safetensors`];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, ...reference },
  });
  expect(stdout).toMatch(/float64 .*\n.*float32 .*\nok /);
});

const source = `
  const { loadAddon } = await import(${JSON.stringify(`${root}dist/lib/native.js`)});
  const { trainerOptions } = await import(${JSON.stringify(`${root}dist/test/native/support.js`)});
  const { loss } = trainerOptions();
  const trainer = await loadAddon().createTrainer(
    trainerOptions({ loss: { ...loss, penaltyWeight: 1, penaltyEvery: 2, lgiScales: [0.5, 1] } }),
  );
  const { losses } = await trainer.run({ steps: 3 });
  const { data } = await trainer.generate({ seed: 1, count: 16 });
  console.log(JSON.stringify({ losses, images: [...data] }));
`;
const outcome = async (env: NodeJS.ProcessEnv) => {
  const { code, stdout, stderr } = await runNode(source, { env });
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as { losses: Record<string, number>[]; images: number[] };
};

test('the references train and draw what the fused operations do', async () => {
  const [fused, plain] = [await outcome({}), await outcome(reference)];
  expect(plain.losses.length).toBe(3);
  for (const [i, step] of plain.losses.entries()) {
    for (const [name, value] of Object.entries(step))
      expect(Math.abs(value - (fused.losses[i]?.[name] ?? Number.NaN)), `${name} of step ${i}`).toBeLessThan(
        1e-3 * Math.max(1, Math.abs(value)),
      );
  }
  const distances = plain.images.map((value, i) => Math.abs(value - (fused.images[i] as number)));
  // A gate of ADO may be at its threshold.
  expect(distances.filter((distance) => distance > 1).length / distances.length).toBeLessThan(0.05);
  // The last bits tell that other code has run.
  expect(plain.losses).not.toEqual(fused.losses);
});
