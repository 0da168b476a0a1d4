import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Contender, Disagreement } from '../../../bench/case.js';
import { compare } from '../../../bench/rounds.js';
import { comparisonText } from '../../../bench/table.js';

const folder = await mkdtemp(join(tmpdir(), 'san-native-rounds-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** `body` is that of round(items); a file that must not exist yet is there meanwhile. */
async function contender(name: string, body: string, opening = ''): Promise<Contender> {
  const program = join(folder, `${name}.mjs`);
  const source = `
    import { closeSync, openSync, rmSync } from 'node:fs';
    const busy = ${JSON.stringify(join(folder, 'busy'))};
    export async function open(options) {
      console.log('printed by', options.name);
      ${opening}
      return {
        facts: options,
        round: async (items) => {
          closeSync(openSync(busy, 'wx'));
          try { ${body} } finally { rmSync(busy); }
        },
        close: async () => {},
      };
    }`;
  await writeFile(program, source);
  return { name, command: 'node', program, options: { name } };
}

const options = { rounds: 3, seconds: 0, quick: true, python: undefined, onProgress: () => {} };

test('contenders take turns, and one that fails is told of without stopping the others', async () => {
  const contenders: Contender[] = [
    { ...(await contender('ours', 'return { seconds: 1, items, notes: { share: items } };')), ours: true },
    await contender('slow', 'return { seconds: 2, items, peakMemory: 5e9 };'),
    await contender('fast', 'return { seconds: 0.5, items };'),
    await contender('never opens', '', "throw new Error('no compiler');"),
    await contender('dies', "console.error('out of luck'); rmSync(busy); process.exit(3);"),
    { name: 'python', command: 'python', program: '/none.py', options: {} },
  ];
  const result = await compare(
    {
      label: 'a test',
      unit: 'images',
      measure: 'rate',
      contenders,
      agreement: (facts) => [[...facts.keys()].join()],
    },
    options,
  );
  const [ours, slow, fast, unopened, dead, python] = result.results;
  expect(ours).toMatchObject({
    ours: true,
    rate: { median: 16 },
    notes: { share: 16 },
    facts: { name: 'ours' },
  });
  expect(ours?.peakMemory).toBeGreaterThan(1e6);
  expect(slow).toMatchObject({ rate: { median: 8 }, ratio: { median: 2, min: 2, max: 2 }, peakMemory: 5e9 });
  expect(fast).toMatchObject({ ratio: { median: 0.5 } });
  expect(unopened).toMatchObject({ error: 'no compiler' });
  expect(dead?.error).toMatch(/^the process ended with status 3: .*out of luck/);
  expect(python?.error).toMatch(/no Python with torch/);
  expect(result.best).toEqual({ name: 'fast', ratio: { median: 0.5, min: 0.5, max: 0.5 } });
  expect(result.agreement).toEqual(['ours,slow,fast,dies']);

  const text = comparisonText(result);
  expect(text).toMatch(/slow +8\.00 +8\.00 … 8\.00 +2\.00× /);
  expect(text).toContain('never opens failed: no compiler');
  expect(text).toContain('0.50× (0.50 … 0.50) the speed of the best other one, fast');
});

test('one that does other work is shown as failing', async () => {
  const ours = { ...(await contender('ours', 'return { seconds: items, items };')), ours: true as const };
  const other = await contender('other', 'return { seconds: items, items };');
  const agreement = (facts: ReadonlyMap<string, unknown>) => {
    if (facts.has('other')) throw new Disagreement('other', 'draws something else');
    return [[...facts.keys()].join()];
  };
  const comparison = {
    label: 'x',
    unit: 'images',
    measure: 'rate' as const,
    contenders: [ours, other],
    agreement,
  };
  const result = await compare(comparison, options);
  expect(result.results[0]).toMatchObject({ rate: { median: 1 } });
  expect(result.results[1]).toMatchObject({ error: 'draws something else' });
  expect(result.agreement).toEqual(['ours']);
});

test('rounds take the time they are given, and times are shown the other way round', async () => {
  const only = { ...(await contender('even', 'return { seconds: items / 4, items };')), ours: true as const };
  const comparison = { label: 'x', unit: 'images', measure: 'time' as const, contenders: [only] };
  const result = await compare(comparison, { ...options, quick: false, seconds: 2 });
  expect(result.results[0]?.rate).toEqual({ median: 4, min: 4, max: 4 });
  expect(comparisonText(result)).toMatch(/even +0\.250 /);
});
