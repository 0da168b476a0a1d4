import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadAddon } from '../../lib/native.js';
import { findPython } from './python.js';
import { root } from './support.js';

const addon = loadAddon();
const recipe = /```python\n(.*?)```/s.exec(readFileSync(`${root}docs/random-numbers.md`, 'utf8'))?.[1] ?? '';

const interpreter = findPython('numpy', 'the recipe of docs/random-numbers.md');

test.skipIf(interpreter === undefined)('the recipe in docs/random-numbers.md gives the same latents', () => {
  const cases = [
    [0, 0],
    [7, 123_456],
    [2 ** 40 + 5, 2 ** 33 + 1],
  ] as const;
  for (const [seed, startIndex] of cases) {
    const { data, shape } = addon.latents({ seed, startIndex, count: 2, latentChannels: 5, latentSize: 3 });
    expect(shape).toEqual([2, 5, 3, 3]);
    const program = `${recipe}\nprint(*latent(${seed}, ${startIndex}, 45), *latent(${seed}, ${startIndex + 1}, 45))`;
    const numbers = execFileSync(interpreter as string, ['-c', program], { encoding: 'utf8' })
      .split(' ')
      .map(Number);
    expect(numbers).toHaveLength(data.length);
    for (const [i, value] of numbers.entries())
      expect(Math.abs((data[i] as number) - value)).toBeLessThan(2e-6);
  }
});

test('latents are these numbers on every machine', () => {
  const { data } = addon.latents({ seed: 1, count: 2, latentChannels: 2, latentSize: 1 });
  expect([...new Uint32Array(data.buffer)].map((bits) => bits.toString(16))).toMatchInlineSnapshot(`
    [
      "3ec2c3de",
      "be97b1be",
      "be290210",
      "402b4aea",
    ]
  `);
});
