/** Images out of a real network: the same whatever the way, whole whatever happens. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { precisionError } from '../../lib/generation/precision-error.js';
import { type GenerateToOptions, San } from '../../lib/generation/san.js';
import { train } from '../../lib/training/train.js';
import { findPython } from './python.js';
import { type Outcome, root } from './support.js';

/** Kills of each kind of output; the acceptance takes 20. */
const KILLS = Number(process.env.SAN_NATIVE_KILLS ?? 1);

let folder = '';

/** An IDX file of 8 images of 16×16 pixels. */
function dataset(channels: number): string {
  const path = join(folder, `images-${channels}`);
  const sizes = channels === 1 ? [8, 16, 16] : [8, 16, 16, channels];
  const head = Buffer.alloc(4 + 4 * sizes.length);
  head.writeUInt16BE(0x0800 + sizes.length, 2);
  for (const [i, size] of sizes.entries()) head.writeUInt32BE(size, 4 + 4 * i);
  const pixels = Buffer.alloc(8 * 256 * channels).map((_, i) => (i * 37) % 256);
  writeFileSync(path, Buffer.concat([head, pixels]));
  return path;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  for (const imageChannels of [1, 3] as const) {
    const run = train({
      ...{ data: dataset(imageChannels), out: join(folder, `run-${imageChannels}`), imageChannels },
      ...{ imageSize: 16, baseWidth: 4, maxWidth: 8, batchSize: 4, steps: 2, sampleCount: 4 },
    });
    for await (const _ of run);
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function cli(
  args: string[],
  onStart: (child: ReturnType<typeof spawn>) => void = () => {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`${root}bin/san-native.js`, 'generate', ...args], { cwd: folder });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('latin1').on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    onStart(child);
  });
}

async function generateTo(run: string, target: string, options: GenerateToOptions): Promise<void> {
  await using san = await San.load(join(folder, run));
  await san.generateTo(target, options);
}

test('an image is the same in any batch, stream, range and number of threads', async () => {
  for (const run of ['run-1', 'run-3']) {
    await using san = await San.load(join(folder, run), { threads: 1 });
    const options = { seed: 5, startIndex: 1000, truncation: 1.2 };
    const { data, shape } = await san.generate({ ...options, count: 53 });
    const size = shape[1] * shape[2] * shape[3];
    await using other = await San.load(join(folder, run), { threads: 3 });
    for (const [batchSize, drawer] of [
      [1, san],
      [7, other],
      [undefined, other],
    ] as const) {
      const parts: Uint8Array[] = [];
      for await (const batch of drawer.stream({ ...options, count: 53, batchSize })) parts.push(batch.data);
      expect(Buffer.compare(Buffer.concat(parts), data)).toBe(0);
    }
    const { signal } = new AbortController();
    expect(Buffer.compare((await other.generate({ ...options, count: 53, signal })).data, data)).toBe(0);
    const alone = await other.generate({ ...options, startIndex: 1037, count: 1 });
    expect(Buffer.compare(alone.data, data.subarray(37 * size, 38 * size))).toBe(0);
    const untruncated = await san.generate({ seed: 5, startIndex: 1000, count: 53 });
    expect(Buffer.compare(untruncated.data, data)).not.toBe(0);
  }
});

test('streams of one network run side by side, and end with an abort or the network', async () => {
  await using san = await San.load(join(folder, 'run-3'));
  const first = async (startIndex: number) => {
    for await (const { data } of san.stream({ seed: 1, startIndex, batchSize: 4 })) return data;
    return undefined;
  };
  const [a, b] = await Promise.all([first(0), first(4)]);
  const both = await san.generate({ seed: 1, count: 8 });
  expect(Buffer.compare(Buffer.concat([a ?? [], b ?? []] as Uint8Array[]), both.data)).toBe(0);
  const controller = new AbortController();
  const aborted = san.generate({ seed: 1, count: 1_000_000, signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  const left = san.stream({ seed: 1, batchSize: 4 });
  await left.next();
  await san.dispose();
  await expect(
    (async () => {
      for await (const _ of left);
    })(),
  ).rejects.toMatchObject({ code: 'ERR_SAN_DISPOSED' });
});

test('how far a precision is from float32', async () => {
  await using san = await San.load(join(folder, 'run-3'));
  expect(await precisionError(san, { seed: 1, count: 40 })).toEqual({ levels: 0, images: 8 });
  if (!readFileSync('/proc/cpuinfo', 'utf8').includes(' avx512_bf16 '))
    return console.log('bf16 is not compared: this CPU has no avx512_bf16');
  const { code, stdout } = await cli(['run-3', '--count', '3', '--precision', 'bf16', '--grid', 'bf16.png']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\nbf16: the first 3 are \d+\.\d\d of 255 levels from those in fp32 on average\n$/);
});

const python = findPython('numpy, PIL', 'the look at generated files with Pillow and NumPy');
test.skipIf(python === undefined).each(['run-1', 'run-3'])(
  'every PNG file of every place decodes to the bytes of the .npy: %s',
  async (run) => {
    const range = ['--count', '40', '--start-index', '7', '--seed', '3'];
    const place = join(folder, `places-${run}`);
    for (const name of ['drawn', 'drawn.tar', 'drawn.zip', 'drawn.npy'])
      await generateTo(run, join(place, name), { count: 40, startIndex: 7, seed: 3 });
    const { stdout, stderr } = await cli([run, ...range, '--out', '-']);
    expect(stderr).toMatch(/^40 images of seed 3 from .* in stdout\n$/);
    writeFileSync(join(place, 'drawn.raw'), stdout, 'latin1');
    const told = execFileSync(python as string, [`${root}test/native/generate_oracle.py`, place, '7']);
    expect(JSON.parse(told.toString())).toEqual({
      shape: [40, 16, 16, run === 'run-1' ? 1 : 3],
      dtype: 'uint8',
      raw: true,
      names: true,
      damaged: null,
      compressed: false,
      wrong: [],
    });
  },
);

/** Digest of a file, or of all files of a folder under their names. */
function digest(path: string): string {
  const hash = createHash('sha256');
  if (!statSync(path).isDirectory()) return hash.update(readFileSync(path)).digest('hex');
  for (const name of readdirSync(path).sort()) hash.update(name).update(readFileSync(join(path, name)));
  return hash.digest('hex');
}

const COUNT = 2000;
test.each(['.tar', '.zip', '.npy', ''])(
  'a kill leaves nothing cut, and a rerun completes the set: %s',
  async (ending) => {
    const options = { count: COUNT, seed: 2 };
    const args = ['run-3', '--count', String(COUNT), '--seed', '2', '--quiet'];
    const [whole, out] = [join(folder, `whole${ending}`), join(folder, `killed${ending}`)];
    await generateTo('run-3', whole, options);
    const growing = ending === '' ? out : `${out}.partial/data`;
    const sizeOf = () => (ending === '' ? readdirSync(growing).length : statSync(growing).size);
    for (let kill = 0; kill < KILLS; kill++) {
      const { signal, code } = await cli([...args, '--out', out], async (child) => {
        // From when it has written something, at any moment.
        const before = existsSync(growing) ? sizeOf() : 0;
        while (child.exitCode === null && (!existsSync(growing) || sizeOf() === before)) await setTimeout(2);
        await setTimeout(Math.random() * 100);
        child.kill('SIGKILL');
      });
      expect(signal === 'SIGKILL' || code === 0).toBe(true);
      if (code === 0) break;
      // The last moment that it can be killed at is after the set has its name.
      if (ending !== '' && existsSync(out)) expect(digest(out)).toBe(digest(whole));
    }
    await generateTo('run-3', out, options);
    expect(digest(out)).toBe(digest(whole));
    expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).toEqual([]);
  },
);

test('Ctrl-C ends with status 130, and the rerun goes on', async () => {
  const args = ['run-3', '--count', '20000', '--out', 'stopped'];
  const { code, stderr } = await cli(args, async (child) => {
    const path = join(folder, 'stopped');
    while (!existsSync(path) || readdirSync(path).length < 20) await setTimeout(5);
    child.kill('SIGINT');
  });
  expect(code).toBe(130);
  expect(stderr).toBe('stopped; the same command draws the rest into stopped\n');
  const there = readdirSync(join(folder, 'stopped')).filter((name) => name.endsWith('.png')).length;
  const next = await cli(['run-3', '--count', String(there + 8), '--out', 'stopped', '--json']);
  expect(JSON.parse(next.stdout)).toMatchObject({ count: there + 8, drawn: 8, kept: there });
  const again = await cli(['run-3', '--count', String(there + 8), '--out', 'stopped']);
  expect(again.stdout).toMatch(/^all \d+ images of seed 1 from .* were there already; nothing was drawn\n$/);
});

test('a reader that goes away ends it silently, as SIGPIPE would', async () => {
  const { code, stderr } = await cli(['run-3', '--count', '20000', '--out', '-'], (child) => {
    child.stdout?.once('data', () => child.stdout?.destroy());
  });
  expect(code).toBe(141);
  expect(stderr).toBe('');
});

test('a full device is told', async () => {
  const command = `"${process.execPath}" "${root}bin/san-native.js" generate run-3 --count 40 --out - > /dev/full`;
  const failed = await new Promise<Outcome>((resolve) => {
    const child = spawn('sh', ['-c', command], { cwd: folder });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('close', (code, signal) => resolve({ code, signal, stdout: '', stderr }));
  });
  expect(failed.code).toBe(1);
  expect(failed.stderr).toBe(
    'error ERR_SAN_OUTPUT: cannot write to the stream: no space is left on the device\n',
  );
});
