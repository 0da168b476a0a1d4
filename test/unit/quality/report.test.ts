import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { shareOfSure } from '../../../quality/measure.js';
import { spreadText, table, writeReal } from '../../../quality/report.js';
import type { RunResult } from '../../../quality/runs.js';

const result = (contender: string, seed: number, fd: number): RunResult => ({
  run: { contender, peer: undefined, seed, images: 100, settings: {} },
  parameters: 1_004_573,
  points: [
    { images: 50_000, seconds: 5, values: { fd: 99 } },
    { images: 100_000, seconds: 10, values: { fd } },
  ],
  sample: { data: new Uint8Array(1), shape: [1, 1, 1, 1] },
});

describe('the table', () => {
  it('has the last point of each contender, mean and deviation of its seeds, and no empty columns', () => {
    const lines = table([result('san', 1, 10), result('dcgan', 1, 5), result('san', 2, 12)])
      .trim()
      .split('\n');
    expect(lines).toEqual([
      '|  | parameters | images | seconds | seeds | fd |',
      '| --- | ---: | ---: | ---: | ---: | ---: |',
      '| san | 1005k | 100k | 10 ± 0 | 2 | 11 ± 1.4 |',
      '| dcgan | 1005k | 100k | 10 | 1 | 5 |',
    ]);
  });

  it('has nothing for what was not measured', () => {
    expect(spreadText([])).toBe('');
  });
});

it('counts as plain what the classifier gives 0.9 or more', () => {
  const data = Float32Array.from([0.95, 0.05, 0.6, 0.4, 0, 1]);
  expect(shareOfSure({ data, shape: [3, 2] })).toBeCloseTo(2 / 3);
});

it('shows real images from all over the set', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  try {
    const data = Uint8Array.from({ length: 200 }, (_, i) => i);
    const real = { data, shape: [200, 1, 1, 1] as [number, number, number, number] };
    await writeReal(folder, { path: '', hash: '', realPath: '', real }, 4);
    const { channels } = await sharp(join(folder, 'real.png')).stats();
    expect(channels[0]?.min).toBe(0);
    const { data: pixels } = await sharp(join(folder, 'real.png'))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(pixels).toContain(150);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
