import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadAddon } from '../../lib/native.js';
import { findPython } from './python.js';
import { root } from './support.js';

const addon = loadAddon();
const recipe = /```python\n(.*?)```/s.exec(readFileSync(`${root}docs/random-numbers.md`, 'utf8'))?.[1] ?? '';

const python = findPython('numpy', 'the program of docs/random-numbers.md');

test.skipIf(python === undefined)(
  'the program in docs/random-numbers.md gives the same latents, bit for bit',
  async () => {
    const cases = [
      { seed: 0, startIndex: 0 },
      { seed: 7, startIndex: 123_456 },
      { seed: 2 ** 40 + 5, startIndex: 2 ** 33 + 1 },
      { seed: 1, startIndex: 3, truncation: 1 },
      { seed: 2 ** 53 - 1, startIndex: 2 ** 32 - 1, truncation: 0.5 },
      { seed: 5, startIndex: 0, truncation: 0.01 },
      { seed: 5, startIndex: 9, truncation: 6 },
    ];
    const count = 6;
    const shape = { latentChannels: 11, latentSize: 3 };
    const program = `${recipe}
import json, sys
np.seterr(all='raise', under='ignore')
for c in json.loads(sys.argv[1]):
    for i in range(${count}):
        sys.stdout.buffer.write(latent(c['seed'], c['startIndex'] + i, 99, c.get('truncation')).tobytes())`;
    const bytes = execFileSync(python as string, ['-c', program, JSON.stringify(cases)]);
    const size = count * 99 * 4;
    expect(bytes).toHaveLength(cases.length * size);
    for (const [i, options] of cases.entries()) {
      const { data } = await addon.latents({ ...options, ...shape, count });
      const expected = bytes.subarray(i * size, (i + 1) * size);
      expect(Buffer.compare(Buffer.from(data.buffer), expected), JSON.stringify(options)).toBe(0);
    }
  },
);

test('truncation draws again what is beyond it and leaves the rest', async () => {
  const range = { seed: 3, startIndex: 10, count: 500, latentChannels: 64, latentSize: 1 };
  const whole = (await addon.latents(range)).data;
  const truncated = (await addon.latents({ ...range, truncation: 0.8 })).data;
  let [again, sum, squares] = [0, 0, 0];
  for (const [i, value] of truncated.entries()) {
    expect(Math.abs(value)).toBeLessThanOrEqual(0.8);
    sum += value;
    squares += value * value;
    if (Math.abs(whole[i] as number) <= 0.8) expect(value).toBe(whole[i]);
    else again++;
  }
  // 42.4 % of a normal distribution lie beyond 0.8; the variance of what lies within is 0.1957.
  expect(again / whole.length).toBeCloseTo(0.4237, 1);
  expect(Math.abs(sum / whole.length)).toBeLessThan(0.01);
  expect(squares / whole.length).toBeCloseTo(0.1957, 2);
  // A row does not depend on its batch.
  const alone = (await addon.latents({ ...range, startIndex: 333, count: 1, truncation: 0.8 })).data;
  expect(alone).toEqual(truncated.slice(323 * 64, 324 * 64));
  for (const truncation of [0.009, 0, -1, Number.NaN])
    await expect(addon.latents({ ...range, truncation })).rejects.toThrow(/truncation/);
});

test('latents are these numbers on every machine', async () => {
  const { data } = await addon.latents({ seed: 1, count: 2, latentChannels: 2, latentSize: 1 });
  expect([...new Uint32Array(data.buffer)].map((bits) => bits.toString(16))).toMatchInlineSnapshot(`
    [
      "3ec2c3de",
      "be97b1be",
      "be290210",
      "402b4aea",
    ]
  `);
});
