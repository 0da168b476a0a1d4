/** What a run on the command line does about faults that SAN_NATIVE_FAULTS makes in the native half. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { savePhotos } from './photos.js';
import { type Outcome, root } from './support.js';

const SETTINGS = `--image-size 8 --widths 16,16,8,8,8,4,4 --batch-size 4 --sample-count 4 --threads 1
  --steps 30 --sample-every 0 --checkpoint-every 10 --log-every 5`.split(/\s+/);

let folder = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  await savePhotos(join(folder, 'photos'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const NODE = [process.execPath, `${root}bin/san-native.js`];

/** Trains with `faults`. `command` runs what follows it. */
function train(
  out: string,
  faults: object,
  settings: string[] = [],
  command: string[] = [],
): Promise<Outcome> {
  return start([...command, ...NODE, 'train', 'photos', '--out', out, ...SETTINGS, ...settings], faults);
}

function start([program = '', ...args]: string[], faults: object = {}): Promise<Outcome> {
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, SAN_NATIVE_FAULTS: JSON.stringify(faults) },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** What follows may have 16 GB. */
const LIMITED = ['sh', '-c', 'ulimit -v 16000000; exec "$@"', 'sh'];

const checkpoints = (out: string) => readdirSync(join(folder, out, 'checkpoints')).sort();
const metrics = (out: string) =>
  readFileSync(join(folder, out, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>);

test('a NaN in a gradient skips the step; it is counted and told', async () => {
  const { code, stderr } = await train('one', { nanGradient: [13] });
  expect(code, stderr).toBe(0);
  expect(stderr).toContain(
    'warning: step 13 was skipped: gradient of kernel.latent in the generator was not finite; 1 skipped so far',
  );
  expect(metrics('one').map(({ step, skipped = 0 }) => [step, skipped])).toEqual([
    [5, 0],
    [10, 0],
    [15, 1],
    [20, 0],
    [25, 0],
    [30, 0],
  ]);
  expect(readFileSync(join(folder, 'one/report.html'), 'utf8')).toContain('step 13 was skipped');
});

test('three in a row go back to the last checkpoint with half the learning rate', async () => {
  const { code, stderr } = await train('three', { nanGradient: [13, 14, 15] });
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(
    /warning: gradient of kernel\.latent in the generator was not finite, .*went back to step 10, .*step-000010\.safetensors, with the learning rate halved to 0\.0005/,
  );
  expect(metrics('three').map(({ step, learningRate }) => [step, learningRate])).toEqual([
    [5, 0.001],
    [10, 0.001],
    [15, 0.0005],
    [20, 0.0005],
    [25, 0.0005],
    [30, 0.0005],
  ]);
});

test('the same again ends the run, naming the first bad tensor; the checkpoint stays', async () => {
  const { code, stderr } = await train('again', { nanGradient: [13, 13, 14, 14, 15, 15] });
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /error ERR_SAN_NON_FINITE: gradient of kernel\.latent in the generator was not finite in 3 steps in a row up to step 15, and again/,
  );
  expect(checkpoints('again')).toEqual(['step-000010.safetensors']);
});

test('a failed allocation names the settings to lower; the checkpoint stays and the run can go on', async () => {
  const { code, stderr } = await train('memory', { outOfMemory: [17] });
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /error ERR_SAN_OUT_OF_MEMORY: out of memory after step \d+: lower batchSize \(now 4\), or imageSize \(8\) or the widths \(up to 16\)/,
  );
  expect(checkpoints('memory')).toEqual(['step-000010.safetensors']);
});

test('memory that really runs out is told in the same way', async () => {
  // Directions of 68 GB.
  const settings = '--strides 1,1,1,1,1,1 --latent-size 8 --latent-channels 4096 --projections 65536'.split(
    ' ',
  );
  const { code, stderr } = await train('real', {}, settings, LIMITED);
  expect(code, stderr).toBe(1);
  expect(stderr).toMatch(
    /error ERR_SAN_OUT_OF_MEMORY: out of memory after step 0: lower batchSize \(now 4\)/,
  );
});

test('images that do not fit in memory name the option of generate', async () => {
  const { code: trained } = await train('drawn', {}, ['--steps', '2']);
  expect(trained).toBe(0);
  // Latents of 26 GB.
  const many = '--count 100000000 --batch-size 100000000 --out images.npy'.split(' ');
  const { code, stderr } = await start([...LIMITED, ...NODE, 'generate', 'drawn', ...many]);
  expect(code, stderr).toBe(1);
  expect(stderr).toMatch(/error ERR_SAN_OUT_OF_MEMORY: out of memory.* a smaller batch .*--batch-size/);
});
