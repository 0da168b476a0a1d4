/** The kernels of inference, in every instruction set the machine has. */
import { expect, test } from 'vitest';
import type { Difference } from './parity.js';
import { runNode } from './support.js';

const SCRIPT = `import { differences } from './dist/test/native/parity.js';
console.log(JSON.stringify(await differences()));`;

// LibTorch takes a set that the machine lacks for the best one it has.
test.each(['default', 'avx2', 'avx512'])('images and latents equal those of ATen: %s', async (capability) => {
  const { stdout, stderr } = await runNode(SCRIPT, { env: { ATEN_CPU_CAPABILITY: capability } });
  expect(stderr).toBe('');
  const found: Record<string, Difference> = JSON.parse(stdout);
  expect(Object.keys(found)).toHaveLength(3);
  for (const { images, latents } of Object.values(found)) {
    expect(images).toBeLessThan(0.501);
    expect(latents).toBeLessThan(1e-4);
  }
});
