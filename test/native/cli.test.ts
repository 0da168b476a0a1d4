/** The command line and the API on real files, as a user runs them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHECKSUM_KEY, seal, UNSEALED } from '../../lib/checkpoint/checksum.js';
import { encodeSafetensors, readSafetensors } from '../../lib/checkpoint/safetensors.js';
import { savePhotos } from './photos.js';
import { type Outcome, root, runNode } from './support.js';

const small = '--image-size 8 --widths 16,16,8,8,8,4,4 --batch-size 4 --sample-count 4'.split(' ');
let folder = '';
let photos = '';

function cli(
  args: string[],
  onProgress?: (child: ReturnType<typeof spawn>, text: string) => void,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`${root}bin/san-native.js`, ...args], { cwd: folder });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      onProgress?.(child, stdout);
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

const train = (out: string, ...args: string[]) => cli(['train', 'photos', '--out', out, ...small, ...args]);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  photos = await savePhotos(join(folder, 'photos'));
  writeFileSync(join(photos, 'notes.txt'), 'not an image');
  const { code, stderr } = await train(
    'run',
    '--steps',
    '6',
    '--sample-every',
    '3',
    '--checkpoint-every',
    '3',
  );
  expect(code, stderr).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytes = (...path: string[]) => readFileSync(join(folder, ...path));

test('a run leaves config, metrics, pictures and checkpoints behind', () => {
  expect(readdirSync(join(folder, 'run')).sort()).toEqual([
    'checkpoints',
    'config.json',
    'environment.json',
    'losses.svg',
    'metrics.jsonl',
    'report.html',
    'samples',
    'skipped.jsonl',
    'tensorboard',
  ]);
  expect(readdirSync(join(folder, 'run/checkpoints'))).toEqual([
    'step-000003.safetensors',
    'step-000006.safetensors',
  ]);
  const kinds = ['', 'interpolation-', 'reconstructions-'];
  expect(readdirSync(join(folder, 'run/samples')).sort()).toEqual(
    [...kinds.flatMap((kind) => ['3', '6'].map((step) => `${kind}00000${step}.png`)), 'real.png'].sort(),
  );
  expect(JSON.parse(bytes('run/config.json').toString())).toMatchObject({
    imageSize: 8,
    steps: 6,
    lambda: 0.5,
  });
  expect(bytes('run/skipped.jsonl').toString()).toContain('notes.txt');
});

test('one seed, one result, byte for byte', async () => {
  await train('again', '--steps', '6', '--sample-every', '0', '--checkpoint-every', '0');
  const tensors = (run: string) => {
    const file = bytes(run, 'checkpoints/step-000006.safetensors');
    return file.subarray(8 + Number(file.readBigUInt64LE(0)));
  };
  expect(Buffer.compare(tensors('again'), tensors('run'))).toBe(0);
  expect(Buffer.compare(bytes('again/samples/000006.png'), bytes('run/samples/000006.png'))).toBe(0);
});

test('generate writes one PNG per image and a sheet', async () => {
  const { code, stderr } = await cli([
    'generate',
    'run',
    '--count',
    '5',
    '--seed',
    '9',
    '--out',
    'drawn',
    '--grid',
    'sheet.png',
  ]);
  expect(code, stderr).toBe(0);
  expect(readdirSync(join(folder, 'drawn'))).toEqual(
    [0, 1, 2, 3, 4].map((i) => `00000000${i}.png`).concat('manifest.json'),
  );
  const { width, height, channels } = await sharp(join(folder, 'drawn/000000000.png')).metadata();
  expect({ width, height, channels }).toEqual({ width: 8, height: 8, channels: 3 });
  await cli(['generate', 'run', '--count', '1', '--start-index', '3', '--seed', '9', '--out', 'one']);
  expect(Buffer.compare(bytes('one/000000003.png'), bytes('drawn/000000003.png'))).toBe(0);
  expect(existsSync(join(folder, 'sheet.png'))).toBe(true);
});

test('Ctrl-C ends a run after the step, with a checkpoint, and status 130', async () => {
  let sent = false;
  const args = ['train', 'photos', '--out', 'stopped', ...small, '--steps', '1000000', '--json'];
  const { code } = await cli(args, (child, text) => {
    if (!sent && text.includes('"type":"steps"')) {
      sent = true;
      child.kill('SIGINT');
      child.kill('SIGINT'); // npm passes on a Ctrl-C that the terminal has sent as well
    }
  });
  expect(code).toBe(130);
  expect(readdirSync(join(folder, 'stopped/checkpoints'))).toHaveLength(1);
  expect((await cli(['generate', 'stopped', '--count', '1', '--grid', 's.png'])).code).toBe(0);
});

test('a second Ctrl-C leaves in the midst of a step; the last checkpoint is whole', async () => {
  // Seconds for a step.
  const slow = '--estimator sinkhorn --sinkhorn-iterations 5000 --checkpoint-every 1 --keep-last 0'.split(
    ' ',
  );
  const args = ['train', 'photos', '--out', 'left', ...small, ...slow, '--steps', '1000', '--json'];
  let signals: NodeJS.Timeout | undefined;
  const { code, signal } = await cli(args, (child) => {
    signals ??= setInterval(() => {
      if (existsSync(join(folder, 'left/checkpoints/step-000001.safetensors'))) child.kill('SIGINT');
    }, 20);
  });
  clearInterval(signals);
  expect([code, signal]).toEqual([null, 'SIGINT']);
  const again = await cli(['train', 'photos', '--out', 'left', '--resume', '--steps', '1', '--json']);
  expect(again.code, again.stderr).toBe(0);
  expect(again.stdout).toContain('"stopped":"finished","step":1');
});

test('a reader that goes away ends any command with 141 and no word; a full output is told', async () => {
  const commands = [['inspect', 'run', '--tensors'], ['data', 'photos', '--json'], ['schema']];
  const program = `node ${JSON.stringify(`${root}bin/san-native.js`)}`;
  const shell = async (line: string) => {
    const child = spawn('sh', ['-c', line], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'close');
    return { code, stderr };
  };
  for (const args of commands) {
    const line = `${program} ${args.join(' ')}`;
    // The reader has gone before anything is written.
    const gone = await shell(`{ sleep 0.2; ${line}; echo $? >&2; } | exec true`);
    expect(gone.stderr, line).toBe('141\n');
    expect(await shell(`${line} > /dev/full`), line).toEqual({
      code: 1,
      stderr: 'error ERR_SAN_OUTPUT: cannot write to stdout: no space is left on the device\n',
    });
  }
});

test('the package loads by import and by require, and trains, loads, generates and reverses', async () => {
  const outcome = await runNode(`
    import { createRequire } from 'node:module';
    import { San, train } from 'san-native';
    const required = createRequire(${JSON.stringify(`${root}package.json`)})('san-native');
    const options = { data: ${JSON.stringify(photos)}, out: ${JSON.stringify(join(folder, 'api'))}, imageSize: 8, baseWidth: 4, maxWidth: 8, batchSize: 4, steps: 2 };
    const types = new Set();
    for await (const tick of train(options)) types.add(tick.type);
    const san = await San.load(options.out);
    const images = await san.generate({ count: 3, seed: 1 });
    const latents = await san.reverse(images);
    const decoded = await san.decode(latents);
    await san[Symbol.asyncDispose]();
    const { code } = await san.generate({ count: 1, seed: 1 }).catch((error) => error);
    console.log(JSON.stringify([required.San === San, [...types].at(-1), images.shape, latents.shape, decoded.shape, code]));
  `);
  expect(outcome.code, outcome.stderr).toBe(0);
  expect(JSON.parse(outcome.stdout)).toEqual([
    true,
    'end',
    [3, 8, 8, 3],
    [3, 64, 1, 1],
    [3, 8, 8, 3],
    'ERR_SAN_DISPOSED',
  ]);
});

describe('bad input gives one line with a code, the right status and no stack', () => {
  beforeAll(async () => {
    mkdirSync(join(folder, 'texts'));
    writeFileSync(join(folder, 'texts/a.txt'), 'text');
    writeFileSync(join(folder, 'file'), '');
    writeFileSync(join(folder, 'typo.yaml'), 'batchSise: 4\n');
    const checkpoint = 'run/checkpoints/step-000006.safetensors';
    cpSync(join(folder, checkpoint), join(folder, 'cut.safetensors'));
    truncateSync(join(folder, 'cut.safetensors'), 5000);
    const huge = Buffer.alloc(64);
    huge.writeBigUInt64LE(2n ** 60n);
    writeFileSync(join(folder, 'huge.safetensors'), huge);
    // The same tensors with a config of another shape, under a checksum of their own.
    const { tensors, metadata } = await readSafetensors(join(folder, checkpoint));
    const config = metadata.config?.replace('[16,16,8,8,8,4,4]', '[32,16,8,8,8,4,4]') ?? '';
    const [header, ...data] = encodeSafetensors(tensors, { ...metadata, config, [CHECKSUM_KEY]: UNSEALED });
    await seal(header, data);
    writeFileSync(join(folder, 'other.safetensors'), Buffer.concat([header, ...data]));
  });

  const generate = (file: string) => ['generate', file, '--count', '1', '--grid', 'x.png'];
  test.each<[string, string[], number, RegExp]>([
    ['no such folder', ['train', 'nowhere', '--out', 'x'], 1, /^error ERR_SAN_DATA_NOT_FOUND: .*nowhere/],
    ['a folder of text files', ['train', 'texts', '--out', 'x'], 1, /^error ERR_SAN_DATA_EMPTY: .*texts/],
    [
      'widths that do not divide',
      ['train', 'photos', '--out', 'x', '--widths', '16,16,8,8,8,5,4'],
      1,
      /^error ERR_SAN_CONFIG: widths\[4\] = 8 and widths\[5\] = 5/,
    ],
    [
      'an unknown flag',
      ['train', 'photos', '--out', 'x', '--batchsize', '4'],
      2,
      /^error ERR_SAN_USAGE: unknown flag --batchsize.*--batch-size/,
    ],
    [
      'an unknown config key',
      ['train', 'photos', '--out', 'x', '--config', 'typo.yaml'],
      1,
      /^error ERR_SAN_CONFIG: .*batchSise.*batchSize/,
    ],
    [
      'a lambda of 1.5',
      ['train', 'photos', '--out', 'x', '--lambda', '1.5'],
      1,
      /^error ERR_SAN_CONFIG: .*lambda.*1\.5/,
    ],
    [
      'an --out that is a file',
      ['train', 'photos', '--out', 'file'],
      1,
      /^error ERR_SAN_OUTPUT: file is a file/,
    ],
    [
      'an --out that holds a run',
      ['train', 'photos', '--out', 'run'],
      1,
      /^error ERR_SAN_OUTPUT: run already holds/,
    ],
    ['no --out', ['train', 'photos'], 2, /^error ERR_SAN_USAGE: .*--out/],
    ['an unknown command', ['tarin'], 2, /^error ERR_SAN_USAGE: unknown command tarin.*train/],
    [
      'a batch larger than the data',
      ['train', 'photos', '--out', 'x', ...small, '--batch-size', '13'],
      1,
      /^error ERR_SAN_CONFIG: batchSize = 13 .*12/,
    ],
    ['no checkpoint', generate('nowhere'), 1, /^error ERR_SAN_CHECKPOINT_NOT_FOUND: .*nowhere/],
    [
      'a truncated checkpoint',
      generate('cut.safetensors'),
      1,
      /^error ERR_SAN_CHECKPOINT_FORMAT: .*cut\.safetensors/,
    ],
    [
      'a header of 2^60 bytes',
      generate('huge.safetensors'),
      1,
      /^error ERR_SAN_CHECKPOINT_FORMAT: .*huge\.safetensors/,
    ],
    [
      'a checkpoint of another shape',
      generate('other.safetensors'),
      1,
      /^error ERR_SAN_CHECKPOINT_MISMATCH: .*kernel\.latent.*\[64, 16, 1, 1\].*\[64, 32, 1, 1\]/,
    ],
  ])('%s', async (_, args, status, line) => {
    const { code, signal, stderr } = await cli(args);
    expect(signal).toBeNull();
    expect(code, stderr).toBe(status);
    expect(stderr).toMatch(line);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });
});
