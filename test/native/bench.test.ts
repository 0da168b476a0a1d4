/** That the benchmark tool works, with the least work; it says nothing of speed. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import type { DeviceFacts } from '../../bench/contenders/device.js';
import { settingAt } from '../../bench/gpu-settings.js';
import type { ComparisonResult } from '../../bench/rounds.js';
import { resolveConfig } from '../../lib/config/resolve.js';
import { loadAddon } from '../../lib/native.js';
import { stepFlops } from '../../lib/training/cost.js';
import { findPython } from './python.js';
import { root } from './support.js';

function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(process.execPath, ['dist/bench/cli.js', ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
}

function bench(...args: string[]): ({ case: string } & ComparisonResult)[] {
  return resultsOf(run(['--quick', '--json', ...args]));
}

/** Results on stdout, whose tables stand on stderr. */
function resultsOf({ stdout, stderr, status }: ReturnType<typeof run>) {
  expect(status, stderr).toBe(0);
  expect(stderr).not.toMatch(/warning|failed:/i);
  const { results } = JSON.parse(stdout);
  for (const { case: name, label } of results) expect(stderr).toContain(`\n${name}, ${label}\n`);
  return results;
}

test('measures our own contenders without peers', () => {
  const results = bench('train', 'generate', '--sizes', '16', '--peers', 'none');
  expect(results.map(({ label }) => label)).toEqual([
    '16 px, quickstart, batch 4',
    '16 px, quickstart widths',
    '16 px, quickstart widths, PNG files on disk',
  ]);
  for (const { results: contenders } of results) {
    expect(contenders.map(({ name, error }) => [name, error])).toEqual([['san-native', undefined]]);
    expect(contenders[0]?.rate?.median).toBeGreaterThan(0);
    expect(contenders[0]?.peakMemory).toBeGreaterThan(50e6);
  }
});

test('measures the loader, as it is and augmented', () => {
  const results = bench('loader', '--sizes', '16', '--peers', 'none');
  expect(results.map(({ label }) => label)).toEqual([
    '16 px, batch 64, augment none',
    '16 px, batch 64, augment photographs',
  ]);
  for (const { results: contenders } of results) {
    expect(contenders.map(({ name, error }) => [name, error])).toEqual([['san-native', undefined]]);
    expect(contenders[0]?.rate?.median).toBeGreaterThan(0);
  }
});

test('the peers do the same work', (context) => {
  const python = findPython('torch, safetensors', 'the peers of the benchmarks');
  if (python === undefined) return context.skip();
  const results = bench('train', 'generate', '--sizes', '16', '--peers', 'eager');
  // Files are not compared.
  const checked = ['16 px, quickstart, batch 4', '16 px, quickstart widths'];
  for (const { label, results: contenders, agreement, best } of results) {
    expect(contenders.filter(({ name }) => name !== 'san-native bf16').map(({ error }) => error)).toEqual([
      undefined,
      undefined,
    ]);
    expect(agreement.filter((line: string) => !line.startsWith('bf16'))).toHaveLength(
      checked.includes(label) ? 1 : 0,
    );
    expect(best?.name).toMatch('PyTorch eager');
  }
});

test('bench:gpu, on the processor: every case of it works', () => {
  const args = ['--gpu', '--quick', '--json', '--sizes', '16', '--peers', 'none'];
  const results: { case: string; data?: DeviceFacts & { found: { facts: DeviceFacts }[] } }[] = resultsOf(
    run(args, { SAN_NATIVE_TEST_DEVICE: 'cpu' }),
  );
  expect(results.map(({ case: name }) => name)).toEqual(['convolutions', 'generate', 'kernels', 'train']);
  const step = results[0]?.data?.found[0]?.facts.step;
  // Both networks, the generator on two batches: lib/training/cost.ts counts the linear layers as well.
  const config = resolveConfig([{ source: '', values: settingAt(16, true).values }]);
  const { forward, backward } = stepFlops(config);
  expect((step?.forward.operations ?? 0) / forward).toBeCloseTo(1, 1);
  expect((step?.backward.operations ?? 0) / backward).toBeCloseTo(1, 1);
  const { kernels = [], peak } = results[2]?.data ?? {};
  expect(kernels).toHaveLength(12);
  for (const { bytes, seconds } of kernels) expect(bytes / seconds).toBeGreaterThan(0);
  expect(peak?.copy).toBeGreaterThan(1e8);
});

test('bench:gpu without a GPU says what is missing, and succeeds', (context) => {
  const { fault } = loadAddon().info().cuda;
  if (fault === undefined) {
    console.log('skipped: there is a GPU');
    return context.skip();
  }
  const { stdout, status } = run(['--gpu'], { SAN_NATIVE_TEST_DEVICE: 'auto' });
  expect(status).toBe(0);
  expect(stdout).toContain(`no GPU is measured: ${fault}`);
});

test('an unknown case is refused with the nearest name', () => {
  const { status, stderr } = run(['trian']);
  expect(status).toBe(2);
  expect(stderr).toMatch(/there is no case trian, only .*did you mean train/);
});
