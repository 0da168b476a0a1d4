/** `san-native evaluate` and evaluate() on a real network. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Outcome, root, runNode } from './support.js';

/** Gives the means of the three colours. */
const tiny = join(root, 'test/native/data/extractor.pt');
const small = '--image-size 16 --widths 16,16,8,8,8,4,4 --batch-size 4 --sample-count 4'.split(' ');
const names = [
  'swd',
  'diversity',
  'sharpness',
  'reconstruction',
  'latentMean',
  'latentVariance',
  'latentCovariance',
];
let folder = '';

/** Runs the command line in a process of its own, with a cache folder of its own. */
const cli = (...args: string[]): Promise<Outcome> =>
  runNode(`
    process.chdir(${JSON.stringify(folder)});
    process.env.SAN_NATIVE_CACHE = ${JSON.stringify(join(folder, 'cache'))};
    const { main } = await import(${JSON.stringify(`${root}dist/lib/cli/main.js`)});
    process.exitCode = await main(${JSON.stringify(args)});
  `);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  mkdirSync(join(folder, 'photos'));
  for (let i = 0; i < 12; i++) {
    const background = { r: 20 * i, g: 255 - 20 * i, b: 128 };
    const image = sharp({ create: { width: 20, height: 16, channels: 3, background } });
    await image.png().toFile(join(folder, 'photos', `${i}.png`));
  }
  const { code, stderr } = await cli('train', 'photos', '--out', 'run', ...small, '--steps', '4');
  expect(code, stderr).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('measures a run, the same each time', async () => {
  const first = await cli('evaluate', 'run', 'photos', '--json');
  expect(first.code, first.stderr).toBe(0);
  const { metrics, ...rest } = JSON.parse(first.stdout) as { metrics: Record<string, number> };
  expect(Object.keys(metrics)).toEqual(names);
  for (const [name, value] of Object.entries(metrics)) expect(value, name).toBeGreaterThan(0);
  expect(rest).toEqual({
    count: 1000,
    realCount: 12,
    generatedCount: 12,
    seed: 1,
    checkpoint: 'run/checkpoints/step-000004.safetensors',
    step: 4,
    data: 'photos',
    dataHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    skipped: [],
    damaged: [],
  });
  expect((await cli('evaluate', 'run', 'photos', '--json')).stdout).toBe(first.stdout);
  const other = await cli('evaluate', 'run', 'photos', '--json', '--seed', '2');
  const { swd, reconstruction } = JSON.parse(other.stdout).metrics;
  expect(swd).not.toBe(metrics.swd);
  expect(reconstruction).toBe(metrics.reconstruction);
});

test('prints a table', async () => {
  const { code, stdout, stderr } = await cli('evaluate', 'run', 'photos', '--metrics', 'swd,latentMean');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(
    /^swd +[\d.]+ {2}lower is better\nlatentMean +[\d.]+ {2}lower is better\n12 generated and 12 real images, /,
  );
});

test('the API measures what San reverses and decodes', async () => {
  const outcome = await runNode(`
    import { evaluate, San } from 'san-native';
    process.chdir(${JSON.stringify(folder)});
    const { metrics } = await evaluate({ checkpoint: 'run', data: 'photos', metrics: ['reconstruction'] });
    const san = await San.load('run');
    const { openData, readRows } = await import(${JSON.stringify(`${root}dist/lib/data/dataset.js`)});
    const set = await openData('photos', san.config);
    const images = await readRows(set, Array.from({ length: set.shape[0] }, (_, i) => i));
    const { data } = await san.decode(await san.reverse(images));
    let sum = 0;
    for (let i = 0; i < data.length; i++) sum += ((data[i] - images.data[i]) / 127.5) ** 2;
    await san.dispose();
    console.log(JSON.stringify([metrics.reconstruction, sum / data.length]));
  `);
  expect(outcome.code, outcome.stderr).toBe(0);
  const [measured, expected] = JSON.parse(outcome.stdout);
  expect(measured).toBeCloseTo(expected, 12);
});

test('an extractor that is no TorchScript module is refused in one line', async () => {
  writeFileSync(join(folder, 'broken.pt'), 'no module');
  const { code, stdout, stderr } = await cli('evaluate', 'run', 'photos', '--extractor', 'broken.pt');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^error ERR_SAN_EXTRACTOR: .*broken\.pt[^\n]*\n$/);
});

test('an extractor gives all nine metrics, and its features of real images are kept', async () => {
  const args = ['evaluate', 'run', 'photos', '--extractor', tiny, '--count', '40', '--json'];
  const first = await cli(...args);
  expect(first.code, first.stderr).toBe(0);
  const { metrics, generatedCount } = JSON.parse(first.stdout);
  expect(Object.keys(metrics)).toEqual([...names, 'fd', 'kid', 'precision', 'recall']);
  expect(generatedCount).toBe(40);
  expect(metrics.fd).toBeGreaterThan(0);
  expect(metrics.precision).toBeLessThanOrEqual(1);
  expect(readdirSync(join(folder, 'cache/features'))).toHaveLength(1);
  expect((await cli(...args)).stdout).toBe(first.stdout);
});
