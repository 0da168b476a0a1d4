/** The mathematics of single elements, which host and device share, as device code. */
import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { packageRoot } from '../../lib/native.js';
import { temporaryFolder } from './support/temporary.js';

const run = promisify(execFile);
const sources = join(packageRoot(), 'native/src');

const hasNvcc = await run('nvcc', ['--version']).then(
  () => true,
  () => false,
);
if (!hasNvcc) console.log('device headers are not compiled: there is no nvcc');

/** Instantiates a template of each kind; the rest is parsed. */
const KERNEL = `
__global__ void kernel(float* x, unsigned char* bytes) {
  const float v = san::ops::sigmoid(san::ops::leaky(x[0], 0.2f));
  x[1] = san::ops::norm_act_value(v, x[2], 0.2f) + san::ops::norm_act_gradient(v, v, v, v, 1.0f, 0.2f);
  x[3] = san::ops::ado_gradient(v, v, v, 0.3f).logit + san::ops::bilinear_tap<float>(3, 2, 8).low_weight;
  bytes[0] = san::ops::emit_value(v);
}`;

test.runIf(hasNvcc)('nvcc takes every params.h and what they include', { timeout: 120_000 }, async () => {
  const folder = await temporaryFolder();
  const names = (await readdir(join(sources, 'ops'), { recursive: true })).filter((name) =>
    name.endsWith('params.h'),
  );
  expect(names.length).toBeGreaterThan(5);
  const headers = [...names.map((name) => `ops/${name}`), 'ops/elementwise.h', 'random/philox.h'];
  const file = join(folder, 'headers.cu');
  await writeFile(file, headers.map((name) => `#include "${name}"\n`).join('') + KERNEL);
  const flags = ['-std=c++20', '--expt-relaxed-constexpr', '-arch=sm_90', '-ptx'];
  // A constant that a host compiler folds is used on the device as well: no warning is harmless.
  const { stderr } = await run('nvcc', [...flags, '-I', sources, file, '-o', join(folder, 'headers.ptx')]);
  expect(stderr).toBe('');
});
