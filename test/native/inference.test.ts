/** The kernels of inference, in every instruction set the machine has. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { InferencePrecision } from '../../lib/native.js';
import type { Difference } from './parity.js';
import { runNode } from './support.js';

const script = (precision: InferencePrecision) => `import { differences } from './dist/test/native/parity.js';
console.log(JSON.stringify(await differences('${precision}')));`;

const features = readFileSync('/proc/cpuinfo', 'utf8');

test.each(['default', 'avx2', 'avx512'])('images and latents equal those of ATen: %s', async (capability) => {
  // LibTorch believes what the variable says.
  const needed = capability === 'avx512' ? 'avx512f' : capability;
  if (needed !== 'default' && !features.includes(` ${needed} `))
    return console.log(`${capability} is not tested: this CPU has no ${needed}`);
  const { stdout, stderr } = await runNode(script('fp32'), { env: { ATEN_CPU_CAPABILITY: capability } });
  expect(stderr).toBe('');
  const found: Record<string, Difference> = JSON.parse(stdout);
  expect(Object.keys(found)).toHaveLength(3);
  for (const { images, beyondRounding, latents } of Object.values(found)) {
    // A gate whose logit is within rounding of the threshold may fall on the other side, and changes what is around it.
    expect(images).toBeLessThan(1);
    expect(beyondRounding).toBeLessThan(0.01);
    expect(latents).toBeLessThan(1e-4);
  }
});

const hasBf16 = features.includes(' avx512_bf16 ');

test('bf16 differs by a few levels, and is refused where the CPU has none', async () => {
  const without = await runNode(script('bf16'), { env: { ATEN_CPU_CAPABILITY: 'avx2' } });
  expect(without.stderr).toContain('avx512_bf16');
  expect(without.stderr).toContain('ERR_SAN_OPTIONS');
  if (!hasBf16) return console.log('bf16 itself is not tested: this CPU has no avx512_bf16');
  const { stdout } = await runNode(script('bf16'));
  const found: Record<string, Difference> = JSON.parse(stdout);
  for (const { images, meanOfImages, latents } of Object.values(found)) {
    // More than rounding to levels, or it was not used. What differs most lies behind gates of ADO that rounding flips:
    // PyTorch with the inputs of its convolutions rounded to bfloat16 is as far away.
    expect(images).toBeGreaterThan(0.51);
    expect(meanOfImages).toBeLessThan(16);
    expect(latents).toBeGreaterThan(1e-4);
  }
});
