import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { profileText } from '../../../lib/cli/profile-text.js';
import type { MeasuredOn } from '../../../lib/native.js';
import { writeProfile } from '../../../lib/profiling/profile.js';
import { recorded } from '../profiling/support.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'san-native-profile-text-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const LONG = `cutlass::Kernel2<${'x'.repeat(200)}>`;

test("a GPU's kernels have a table, rows in the trace, and the arithmetic is set against the GPU", async () => {
  const asked: MeasuredOn[] = [];
  const addon = {
    measurePeak: async (on: MeasuredOn) => {
      asked.push(on);
      return { matmul: 8e14, convolution: 4e14, copy: 4e12 };
    },
  };
  const native = recorded(
    [['replay', 'other', 0, 10]],
    [
      [`void ${LONG}(Params)`, 7, 100, 1100],
      ['norm_act', 7, 1100, 1600],
      ['Memcpy DtoH', 13, 1900, 2100],
    ],
  );
  const path = join(folder, 'trace.json');
  const profile = await writeProfile(addon, native, {
    path,
    what: 'steps 14 to 23',
    flops: 4e11,
    device: 'cuda:0',
    precision: 'bf16',
  });
  expect(asked).toEqual([{ device: 'cuda:0', precision: 'bf16' }]);
  const text = profileText(profile);
  expect(text).toContain('on the GPU: 2.0 ms from the first kernel to the end of the last one, busy in 85 %');
  expect(text).toMatch(/^cutlass::Kernel2<x+… +1\.0 +50\.0 % +1$/m);
  expect(text).toMatch(/^norm_act +0\.5 +25\.0 % +1$/m);
  // 4e11 in 2 ms.
  expect(text).toContain('200 TFLOP/s: 25 % of what a matrix product reaches here');
  const { traceEvents } = JSON.parse(await readFile(path, 'utf8'));
  const rows = traceEvents.filter(({ pid, ph }: { pid: number; ph: string }) => pid === 2 && ph === 'X');
  expect(rows.map(({ name, tid, ts, dur }: Record<string, unknown>) => [name, tid, ts, dur])).toEqual([
    [LONG, 7, 100, 1000],
    ['norm_act', 7, 1100, 500],
    ['Memcpy DtoH', 13, 1900, 200],
  ]);
});
