import { describe, expect, test } from 'vitest';
import type { NativeProfile } from '../../../lib/native.js';
import { kernelName, summarise } from '../../../lib/profiling/summary.js';
import { recorded } from './support.js';

describe('summarise', () => {
  test('takes what runs within an operation off its own time', () => {
    const { seconds, operations } = summarise(
      recorded([
        ['conv2d', '', 0, 100],
        ['convolution', '', 10, 90],
        ['copy', '', 20, 30],
        ['mean', '', 100, 150],
      ]),
    );
    expect(seconds).toBeCloseTo(150e-6, 12);
    expect(operations.map(({ name, seconds }) => [name, Math.round(seconds * 1e6)])).toEqual([
      ['convolution', 70],
      ['mean', 50],
      ['conv2d', 20],
      ['copy', 10],
    ]);
    expect(operations.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  });

  test('adds up parts, the backward pass included, and counts how often each was entered', () => {
    const { parts, operations } = summarise(
      recorded([
        ['generator.m0', 'generator.m0', 0, 50, true],
        ['conv', 'generator.m0', 10, 40],
        [
          'autograd::engine::evaluate_function: torch::autograd::CppNode<san::(anonymous namespace)::Gate>',
          'generator.m0',
          60,
          100,
        ],
        ['other op', '', 100, 110],
      ]),
    );
    expect(parts.map(({ name, calls, seconds }) => [name, calls, Math.round(seconds * 1e6)])).toEqual([
      ['generator.m0', 1, 90],
      ['other', 0, 10],
    ]);
    expect(operations.map(({ name }) => name)).toContain('san::Gate');
    expect(operations.find(({ name }) => name === 'between operations')?.seconds).toBeCloseTo(20e-6, 12);
  });

  test('sums up a GPU by kernel; what two streams do at once counts once as time', () => {
    const { onDevice, seconds } = summarise(
      recorded(
        [['conv', '', 0, 30]],
        [
          ['void norm<float, 4>(Norm<float>)', 7, 10, 40],
          ['Memcpy HtoD', 8, 20, 50],
          ['void norm<float, 4>(Norm<float>)', 7, 80, 110],
        ],
      ),
    );
    expect(seconds).toBeCloseTo(30e-6, 12);
    expect(onDevice?.seconds).toBeCloseTo(100e-6, 12);
    expect(onDevice?.busy).toBeCloseTo(70e-6, 12);
    expect(
      onDevice?.kernels.map(({ name, calls, share }) => [name, calls, Number(share.toFixed(3))]),
    ).toEqual([
      ['norm<float, 4>', 2, 0.6],
      ['Memcpy HtoD', 1, 0.3],
    ]);
  });

  test('of nothing there is nothing', () => {
    const empty: NativeProfile = recorded([]);
    expect(summarise(empty)).toEqual({ seconds: 0, operations: [], parts: [] });
  });
});

test.each([
  [
    'void at::native::f<at::Sum<float, 4>, (int)2>(int, at::Sum<float, 4>)',
    'at::native::f<at::Sum<float, 4>, (int)2>',
  ],
  ['void (anonymous namespace)::g(float*)', 'g'],
  ['Memcpy HtoD (Pageable -> Device)', 'Memcpy HtoD'],
  ['sm90_xmma_fprop_nhwc_tilesize128x128x64', 'sm90_xmma_fprop_nhwc_tilesize128x128x64'],
])("a kernel's name: %s", (declaration, name) => {
  expect(kernelName(declaration)).toBe(name);
});
