import { describe, expect, it } from 'vitest';
import { shareOfSure } from '../../../quality/measure.js';
import { spreadText, table } from '../../../quality/report.js';
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
