/** That the benchmark tool works, with the least work; it says nothing of speed. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import type { ComparisonResult } from '../../bench/rounds.js';
import { findPython } from './python.js';
import { root } from './support.js';

function bench(...args: string[]): ({ case: string } & ComparisonResult)[] {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['dist/bench/cli.js', '--quick', '--json', ...args],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout).results;
}

test('measures our own contenders without peers', () => {
  const results = bench('train', 'generate', '--sizes', '16', '--peers', 'none');
  expect(results.map(({ label }) => label)).toEqual([
    '16 px, quickstart, batch 4',
    '16 px, quickstart widths',
    '16 px, PNG files on disk',
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

test('an unknown case is refused with the nearest name', () => {
  const { status, stderr } = spawnSync(process.execPath, ['dist/bench/cli.js', 'trian'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(status).toBe(2);
  expect(stderr).toMatch(/there is no case trian, only .*did you mean train/);
});
