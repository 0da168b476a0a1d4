/** Runs that begin from the weights of others, and the question before a run is continued, as a user meets them. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSafetensors } from '../../lib/checkpoint/safetensors.js';
import { type Outcome, root } from './support.js';

const CLI = `${root}bin/san-native.js`;
const small = `--image-size 8 --widths 16,16,8,8,8,4,4 --batch-size 4 --sample-count 4 --threads 1`.split(
  ' ',
);
let folder = '';

function start(command: string, args: string[], answer?: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: folder });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      if (answer !== undefined && String(chunk).includes('[Y/n]')) child.stdin.write(answer);
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

const train = (out: string, steps: number, ...args: string[]) =>
  start(process.execPath, [
    CLI,
    'train',
    'photos',
    '--out',
    out,
    ...small,
    '--steps',
    String(steps),
    '--checkpoint-every',
    '0',
    ...args,
  ]);

const tensors = async (run: string, step: number) => {
  const file = await readSafetensors(join(folder, run, `checkpoints/step-00000${step}.safetensors`));
  return new Map(file.tensors.map(({ name, data }) => [name, new Float32Array(data.buffer)]));
};

/** Largest difference of two tensors. */
function difference(a: Float32Array | undefined, b: Float32Array | undefined): number {
  if (a === undefined || b === undefined || a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  mkdirSync(join(folder, 'photos'));
  for (let i = 0; i < 8; i++) {
    const background = { r: 20 * i, g: 255 - 20 * i, b: 128 };
    const image = sharp({ create: { width: 8, height: 8, channels: 3, background } });
    await image.png().toFile(join(folder, 'photos', `${i}.png`));
  }
  const { code, stderr } = await train('source', 5);
  expect(code, stderr).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** One step at this rate moves nothing by more than about 1e-30: what a run ends with is what it began from. */
const STILL = ['--learning-rate', '1e-30', '--weight-decay', '0'];

test('all parameters are those of the source, and the moving average starts from them', async () => {
  const { code, stderr } = await train('same', 1, '--init-from', 'source', ...STILL, '--seed', '5');
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(
    /beginning from .*step-000005\.safetensors \(step 5\): (\d+) of \1 parameters match/,
  );
  const [before, after] = [await tensors('source', 5), await tensors('same', 1)];
  const names = [...before.keys()].filter((name) => /^(kernel|generator|reverser)\./.test(name));
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    expect(difference(after.get(name), before.get(name)), name).toBeLessThan(1e-29);
    if (name.startsWith('reverser.')) continue;
    expect(difference(after.get(`ema.${name}`), before.get(name)), `ema.${name}`).toBeLessThan(1e-6);
  }
});

test('a model of other widths takes what fits; the rest is what its seed gives', async () => {
  const widths = ['--widths', '32,16,8,8,8,4,4'];
  expect((await train('plain', 1, ...widths, ...STILL)).code).toBe(0);
  const { code, stderr } = await train('wider', 1, '--init-from', 'source', ...widths, ...STILL);
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/warning: \S+ is \[[\d, ]+\] here and \[[\d, ]+\] in the checkpoint/);
  const init = JSON.parse(readFileSync(join(folder, 'wider/init.json'), 'utf8'));
  expect(init).toMatchObject({ initFrom: join(folder, 'source'), step: 5 });
  expect(init.matched + init.mismatched.length).toBe(init.parameters);
  const [source, plain, wider] = [
    await tensors('source', 5),
    await tensors('plain', 1),
    await tensors('wider', 1),
  ];
  const other = new Set(init.mismatched.map(({ name }: { name: string }) => name));
  for (const [name, data] of wider) {
    if (!/^(kernel|generator|reverser)\./.test(name)) continue;
    const origin = other.has(name) ? plain : source;
    expect(difference(data, origin.get(name)), name).toBeLessThan(1e-29);
  }
});

const pty = spawnSync('script', ['--version']).status === 0;
if (!pty) console.log('skipped: the question in a terminal; there is no `script` of util-linux');
describe.skipIf(!pty)('in a terminal, a folder with a run', () => {
  const inTerminal = (answer: string) => {
    const words = [process.execPath, CLI, 'train', 'photos', '--out', 'asked', ...small, '--steps', '3'];
    return start('script', ['-qec', words.map((word) => `'${word}'`).join(' '), '/dev/null'], answer);
  };

  test('is continued after a yes and left alone after a no', async () => {
    expect((await train('asked', 2)).code).toBe(0);
    const no = await inTerminal('n\r');
    expect(no.stdout).toMatch(/asked holds a run \(step 2 of 2, \d+ seconds? ago\)\. Continue it\? \[Y\/n\]/);
    expect(no.stdout).toContain('error ERR_SAN_OUTPUT: asked already holds a training run');
    expect(no.code).toBe(1);
    const yes = await inTerminal('\r');
    expect(yes.code, yes.stdout).toBe(0);
    expect(yes.stdout).toContain('continuing from step 2');
    expect(yes.stdout).toMatch(/finished after 3 steps/);
  });
});
