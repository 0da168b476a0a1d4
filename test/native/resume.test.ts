/**
 * Runs that are killed and continued end with the bytes of an unbroken one. SAN_NATIVE_KILLS sets the number of kills,
 * 8 by default; SAN_NATIVE_KILL_SEED repeats a sequence of moments.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { savePhotos } from './photos.js';
import { type Outcome, root } from './support.js';

const KILLS = Number(process.env.SAN_NATIVE_KILLS ?? 8);
const KILL_SEED = Number(process.env.SAN_NATIVE_KILL_SEED ?? Date.now() % 1e6);
/** Kills of one run before it may end. */
const KILLS_PER_RUN = 2;
const SETTINGS = `--image-size 8 --widths 16,16,8,8,8,4,4 --batch-size 4 --sample-count 4 --threads 1
  --steps 90 --sample-every 20 --checkpoint-every 7 --log-every 4 --keep-every 35 --metric-every 15 --metric-count 8
  --metrics reconstruction,latentMean`.split(/\s+/);
const VARIANTS = {
  cycle: '--pairing cycle --estimator normal --learning-rate-warmup 5 --keep-best lgi',
  assigned:
    '--pairing assigned --estimator sinkhorn --sinkhorn-iterations 10 --learning-rate-schedule cosine',
  random: '--pairing random --estimator sliced --penalty-weight 1 --penalty-every 2',
  dual:
    '--pairing cycle --estimator dual --w-lz 0.5 --ema-half-life 40 --ema-ramp-up 0.1 --repulsion-warmup 30 ' +
    '--augment photographs --flip-vertical 0.5 --rotate90 0.5 --rotate 20 --translate 0.2 --cutout 0.3',
};

let folder = '';
/** Seconds of an unbroken run, start of the process included. */
const seconds = new Map<string, number>();

interface Running {
  child: ReturnType<typeof spawn>;
  outcome: Promise<Outcome>;
}

function start(args: string[]): Running {
  const child = spawn(process.execPath, [`${root}bin/san-native.js`, ...args], { cwd: folder });
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, outcome };
}

const train = (out: string, settings: string, ...args: string[]) =>
  start(['train', 'photos', '--out', out, ...SETTINGS, ...settings.split(' '), ...args]);

/** Everything a run leaves that does not tell the time. */
function remains(run: string) {
  const list = (name: string) => readdirSync(join(folder, run, name)).sort();
  const read = (...path: string[]) => readFileSync(join(folder, run, ...path));
  const tensors = (name: string) => {
    const file = read('checkpoints', name);
    return file.subarray(8 + Number(file.readBigUInt64LE(0))).toString('base64');
  };
  return {
    files: list('.').filter((name) =>
      ['config.json', 'losses.svg', 'metrics.svg', 'metrics.jsonl', 'best.json'].includes(name),
    ),
    strays: list('.').filter((name) => /lock|tmp/.test(name)),
    config: read('config.json').toString(),
    curve: read('losses.svg').toString(),
    metricCurves: read('metrics.svg').toString(),
    metrics: read('metrics.jsonl')
      .toString()
      .replaceAll(/"seconds":[^,]*/g, '"seconds":0'),
    samples: list('samples').map((name) => [name, read('samples', name).toString('base64')]),
    checkpoints: list('checkpoints').map((name) => [name, tensors(name)]),
  };
}

/** Numbers in [0, 1), the same for one seed: mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  await savePhotos(join(folder, 'photos'));
  await savePhotos(join(folder, 'others'), 10);
  for (const [name, settings] of Object.entries(VARIANTS)) {
    const begin = performance.now();
    const { code, stderr } = await train(`whole-${name}`, settings).outcome;
    expect(code, stderr).toBe(0);
    seconds.set(name, (performance.now() - begin) / 1000);
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const runs = Math.max(1, Math.ceil(KILLS / KILLS_PER_RUN));
test.each(
  Array.from({ length: runs }, (_, i) => [i, Object.keys(VARIANTS)[i % 4] as keyof typeof VARIANTS] as const),
)('run %i, %s: killed and continued, it ends like an unbroken one', async (index, name) => {
  const random = randomNumbers(KILL_SEED + index);
  const out = `broken-${index}`;
  const moments: number[] = [];
  // A run that ended before its kill came is begun anew, so that every kill counts.
  while (moments.length < KILLS_PER_RUN) {
    const moment = random() * 1.05 * (seconds.get(name) ?? 1);
    const { child, outcome } = train(out, VARIANTS[name], '--resume', '--quiet');
    await delay(moment * 1000);
    child.kill('SIGKILL');
    const { signal, code, stderr } = await outcome;
    if (signal === 'SIGKILL') moments.push(moment);
    else {
      expect(code, `${stderr} (seed ${KILL_SEED}, kills at ${moments})`).toBe(0);
      rmSync(join(folder, out), { recursive: true });
    }
  }
  const { code, stderr } = await train(out, VARIANTS[name], '--resume', '--quiet').outcome;
  const where = `seed ${KILL_SEED}, kills at ${moments.map((moment) => moment.toFixed(3)).join(', ')} s`;
  expect(code, `${stderr} (${where})`).toBe(0);
  expect(stderr, where).toBe('');
  expect(remains(out), where).toEqual(remains(`whole-${name}`));
  rmSync(join(folder, out), { recursive: true });
});

describe('a run in a folder', () => {
  test('is not begun twice: the error says how to continue', async () => {
    const { code, stderr } = await train('whole-cycle', VARIANTS.cycle).outcome;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error ERR_SAN_OUTPUT: whole-cycle already holds a training run; add --resume/);
  });

  test('that is finished says so; with more steps it goes on as if they had been meant from the start', async () => {
    const settings = `${VARIANTS.cycle} --keep-last 2`;
    expect((await train('longer', settings, '--steps', '33').outcome).code).toBe(0);
    const again = await train('longer', settings, '--steps', '33', '--resume').outcome;
    expect(again.code).toBe(0);
    expect(again.stderr).toContain('the run in longer is finished');
    // Nothing but the folder and --steps: the run knows its settings.
    const more = await start(['train', 'photos', '--out', 'longer', '--resume', '--steps', '90']).outcome;
    expect(more.code, more.stderr).toBe(0);
    expect(more.stderr).toContain('continuing from step 33');
    const [longer, whole] = [remains('longer'), remains('whole-cycle')];
    expect(longer.metrics).toBe(whole.metrics);
    expect(longer.checkpoints.at(-1)).toEqual(whole.checkpoints.at(-1));
    expect(longer.samples.filter(([name]) => !name?.includes('000033'))).toEqual(whole.samples);
  });

  test('that an abort in its last step left without its evaluation makes up for it', async () => {
    expect((await train('unmeasured', VARIANTS.cycle, '--steps', '33').outcome).code).toBe(0);
    const whole = remains('unmeasured');
    const path = join(folder, 'unmeasured/metrics.jsonl');
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(JSON.parse(lines.pop() ?? '')).toMatchObject({ step: 33, reconstruction: expect.any(Number) });
    writeFileSync(path, `${lines.join('\n')}\n`);
    const { code, stderr } = await train('unmeasured', VARIANTS.cycle, '--steps', '33', '--resume').outcome;
    expect(code, stderr).toBe(0);
    expect(remains('unmeasured')).toEqual(whole);
  });

  test('refuses other mathematics and other data, and passes over damaged checkpoints', async () => {
    expect((await train('refusing', VARIANTS.cycle, '--steps', '21').outcome).code).toBe(0);
    const refusal = async (data: string, ...args: string[]) => {
      const outcome = await start(['train', data, '--out', 'refusing', '--resume', '--steps', '30', ...args])
        .outcome;
      expect(outcome.code).toBe(1);
      return outcome.stderr.trim().split('\n').at(-1);
    };
    expect(await refusal('photos', '--lambda', '0.75')).toMatch(
      /^error ERR_SAN_CONFIG: lambda = 0\.75: the run in refusing has lambda = 0\.5/,
    );
    expect(await refusal('others')).toMatch(
      /^error ERR_SAN_DATA_CHANGED: the images of others are not those/,
    );
    const newest = join(folder, 'refusing/checkpoints/step-000021.safetensors');
    const bytes = readFileSync(newest);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 100) ^ 4, bytes.length - 100);
    writeFileSync(newest, bytes);
    const { code, stderr } = await train('refusing', VARIANTS.cycle, '--resume').outcome;
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(
      /warning: passed over a damaged checkpoint: .*step-000021\.safetensors is damaged/,
    );
    expect(stderr).toContain('continuing from step 14');
    expect(remains('refusing').checkpoints.at(-1)).toEqual(remains('whole-cycle').checkpoints.at(-1));
  });

  test('keeps another one out, and SIGUSR1 makes it save and go on', async () => {
    const running = train('busy', VARIANTS.cycle, '--steps', '1000000', '--checkpoint-every', '0', '--json');
    const checkpoints = () => {
      const path = join(folder, 'busy/checkpoints');
      return existsSync(path) ? readdirSync(path).filter((name) => name.endsWith('.safetensors')) : [];
    };
    try {
      await new Promise<void>((resolve) => {
        running.child.stdout?.on('data', (chunk) => {
          if (String(chunk).includes('"type":"steps"')) resolve();
        });
      });
      const second = await train('busy', VARIANTS.cycle, '--resume').outcome;
      expect(second.code).toBe(1);
      expect(second.stderr).toContain(`busy is in use by process ${running.child.pid} on `);
      for (const count of [1, 2]) {
        running.child.kill('SIGUSR1');
        await expect.poll(() => checkpoints().length, { timeout: 10_000 }).toBe(count);
      }
      expect(running.child.exitCode).toBeNull();
    } finally {
      running.child.kill('SIGTERM');
    }
    expect((await running.outcome).code).toBe(143);
    expect(checkpoints()).toHaveLength(3);
    expect(existsSync(join(folder, 'busy/run.lock'))).toBe(false);
  });

  test('goes on when the disk is full, with a warning, and fails in the end; the old checkpoints stay', async () => {
    // A limit on the size of files stands for the disk; the first checkpoint is written without it. Its signal,
    // which a full disk does not send, is turned off.
    expect((await train('full', VARIANTS.cycle, '--steps', '7').outcome).code).toBe(0);
    const quiet = "data:text/javascript,process.on('SIGXFSZ', () => {})";
    const args = [
      '--import',
      quiet,
      `${root}bin/san-native.js`,
      'train',
      'photos',
      '--out',
      'full',
      ...SETTINGS,
      '--resume',
      '--steps',
      '30',
    ];
    const child = spawn('sh', ['-c', 'ulimit -f 64; exec "$@"', 'sh', process.execPath, ...args], {
      cwd: folder,
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(
      /warning: cannot write .*step-000014.*: the file would be too large; training goes on/,
    );
    expect(stderr).toMatch(/error ERR_SAN_OUTPUT: cannot write .*step-000030/);
    expect(readdirSync(join(folder, 'full/checkpoints'))).toEqual(['step-000007.safetensors']);
    const { code: after } = await train('full', VARIANTS.cycle, '--resume').outcome;
    expect(after).toBe(0);
    expect(remains('full').checkpoints.at(-1)).toEqual(remains('whole-cycle').checkpoints.at(-1));
  });
});
