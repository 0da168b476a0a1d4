/** Training on two ranks, as processes: the same numbers, the run folder, and the end of a rank. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadCheckpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadAddon } from '../../lib/native.js';
import { savePhotos } from './photos.js';
import { root } from './support.js';

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

interface Rank {
  kill(signal: NodeJS.Signals): void;
  output(): string;
  ended: Promise<Ended>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function start(args: readonly string[], variables: NodeJS.ProcessEnv): Rank {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, OMP_NUM_THREADS: '1', MASTER_ADDR: '127.0.0.1', ...variables },
    timeout: 120_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  return {
    kill: (signal) => child.kill(signal),
    output: () => output,
    ended: new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, output }))),
  };
}

/** The same program as both ranks of two. */
async function startBoth(args: readonly string[]): Promise<[Rank, Rank]> {
  const port = String(await freePort());
  const one = (rank: string) => start(args, { RANK: rank, WORLD_SIZE: '2', MASTER_PORT: port });
  return [one('0'), one('1')];
}

test('two ranks compute what one does, for each estimator and pairing', async () => {
  const ranks = await startBoth(['dist/test/acceptance/ranks.js', '2']);
  const [first, second] = await Promise.all(ranks.map(({ ended }) => ended));
  expect([first?.code, second?.code], `${first?.output}${second?.output}`).toEqual([0, 0]);
  const lines = first?.output.split('\n').filter((line) => line.startsWith('{')) ?? [];
  expect(lines.filter((line) => !line.includes('"good":true'))).toEqual([]);
  expect(lines).toHaveLength(34);
});

test('two ranks share out images, latents and features', async () => {
  const ranks = await startBoth(['dist/test/acceptance/rank-inference.js']);
  const [first, second] = await Promise.all(ranks.map(({ ended }) => ended));
  expect([first?.code, second?.code], `${first?.output}${second?.output}`).toEqual([0, 0]);
  expect(first?.output.split('\n').filter((line) => line.includes('"good":true'))).toHaveLength(17);
});

describe('the command line', () => {
  let folder = '';
  let photos = '';
  const train = (out: string, ...more: string[]) => [
    ...['bin/san-native.js', 'train', photos, '--out', out, '--image-size', '16', '--base-width', '4'],
    ...['--max-width', '16', '--batch-size', '4', '--sample-every', '0', '--rank-timeout', '10', ...more],
  ];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'san-native-ranks-'));
    photos = await savePhotos(join(folder, 'photos'));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('--ranks 2 trains; one rank alone continues the run, and two again', async () => {
    const out = join(folder, 'run');
    const metrics = ['--metric-every', '3', '--metrics', 'fd,reconstruction', '--metric-count', '5'];
    const extractor = join(root, 'test/native/data/extractor.pt');
    const settings = ['--ranks', '2', '--steps', '6', ...metrics, '--extractor', extractor];
    const both = await start(train(out, ...settings), { SAN_NATIVE_CACHE: join(folder, 'cache') }).ended;
    expect(both.code, both.output).toBe(0);
    const lines = await readFile(join(out, 'metrics.jsonl'), 'utf8');
    expect(lines.match(/"fd":[\d.e-]+,"reconstruction":|"reconstruction":.*"fd":/g)).toHaveLength(2);
    const alone = await start(train(out, '--resume', '--steps', '8'), {}).ended;
    expect(alone.code, alone.output).toBe(0);
    expect(await readdir(join(out, 'checkpoints'))).toContain('step-000008.safetensors');
    const again = await start(train(out, '--resume', '--ranks', '2', '--steps', '10'), {}).ended;
    expect(again.code, again.output).toBe(0);
    expect(await readdir(join(out, 'checkpoints'))).toContain('step-000010.safetensors');
  });

  test('steps that are not finite on one rank take all back to the last checkpoint, as one rank goes back', async () => {
    const settings = ['--steps', '8', '--checkpoint-every', '3'];
    const faults = JSON.stringify({ nanGradient: [4, 5, 6] });
    const both = join(folder, 'back');
    const port = String(await freePort());
    const environment = { WORLD_SIZE: '2', MASTER_PORT: port };
    const one = join(folder, 'back-alone');
    const [first, second, alone] = await Promise.all([
      start(train(both, ...settings), { ...environment, RANK: '0' }).ended,
      start(train(both, ...settings), { ...environment, RANK: '1', SAN_NATIVE_FAULTS: faults }).ended,
      start(train(one, ...settings, '--accumulate', '2'), { SAN_NATIVE_FAULTS: faults }).ended,
    ]);
    expect([first.code, second.code, alone.code], `${first.output}${second.output}`).toEqual([0, 0, 0]);
    expect(first.output).toMatch(/went back to step 3, .* with the learning rate halved/);
    const tensors = async (out: string) =>
      (await loadCheckpoint(join(out, 'checkpoints/step-000008.safetensors'), loadAddon())).tensors;
    expect(await tensors(both)).toEqual(await tensors(one));
  });

  test('SIGUSR1 and SIGTERM to a rank other than 0 save a checkpoint and end the run, on all', async () => {
    const out = join(folder, 'signals');
    const [first, second] = await startBoth(train(out, '--steps', '1000000', '--checkpoint-every', '900000'));
    const until = async (path: string) => {
      for (let i = 0; i < 600 && (await readdir(path).catch(() => [])).length === 0; i++) await delay(100);
    };
    for (let i = 0; i < 600 && (await readFile(join(out, 'metrics.jsonl')).catch(() => '')).length === 0; i++)
      await delay(100);
    second.kill('SIGUSR1');
    await until(join(out, 'checkpoints'));
    expect(await readdir(join(out, 'checkpoints'))).toHaveLength(1);
    second.kill('SIGTERM');
    const ended = await Promise.all([first.ended, second.ended]);
    expect(ended[0].output).toMatch(/stopped|interrupted|aborted/i);
    expect(await readdir(join(out, 'checkpoints'))).toHaveLength(2);
  });

  test.each(['SIGKILL', 'SIGHUP'] as const)('no rank outlives a launcher that gets %s', async (signal) => {
    const out = join(folder, `launched-${signal}`);
    // Enough of an end for ranks that nobody ends.
    const launcher = start(train(out, '--ranks', '2', '--json', '--max-minutes', '2'), {});
    for (let i = 0; i < 600 && !launcher.output().includes('"type":"steps"'); i++) await delay(100);
    launcher.kill(signal);
    // Its outputs close with the last process that has them.
    const ended = await launcher.ended;
    if (signal === 'SIGHUP') {
      expect(ended.code, ended.output).toBe(129);
    } else {
      expect(ended.output).toContain('"stopped":"aborted"');
      expect(await readdir(out)).not.toContain('run.lock');
    }
  });

  test('a rank that is killed ends the other with an error that names it', async () => {
    const out = join(folder, 'killed');
    const [first, second] = await startBoth(train(out, '--steps', '1000000', '--checkpoint-every', '20'));
    const lines = () => readFile(join(out, 'metrics.jsonl'), 'utf8').catch(() => '');
    for (let i = 0; i < 600 && (await lines()) === ''; i++) await delay(100);
    second.kill('SIGKILL');
    const { code, output } = await first.ended;
    expect(code).toBe(1);
    expect(output).toMatch(/ERR_SAN_RANK_LOST: rank 1 \(process \d+ on .*\) is gone/);
  });

  test('what rank 0 cannot begin with it tells alone', async () => {
    const out = join(folder, 'wrong');
    const cases = [
      {
        more: ['--ranks', '3', '--batch-size', '4'],
        told: /^error ERR_SAN_CONFIG: batchSize = 4 cannot be shared/,
      },
      {
        more: ['--ranks', '2', '--batch-size', '600'],
        told: /^error ERR_SAN_CONFIG: batchSize = 600 is larger/m,
      },
    ];
    for (const { more, told } of cases) {
      const { code, output } = await start(train(out, ...more), {}).ended;
      expect(code).toBe(1);
      expect(output).toMatch(told);
      expect(output).not.toContain('ERR_SAN_RANK_LOST');
    }
  });

  test('ranks that do not come together are told why', async () => {
    const out = join(folder, 'none');
    const environment = { WORLD_SIZE: '2', MASTER_PORT: String(await freePort()) };
    const late = ['--join-timeout', '1'];
    const [noStore, noRank] = await Promise.all([
      start(train(out, ...late), { ...environment, RANK: '1', MASTER_PORT: String(await freePort()) }).ended,
      start(train(out, ...late), { ...environment, RANK: '0' }).ended,
    ]);
    expect(noStore.output).toMatch(/^error ERR_SAN_RENDEZVOUS: nothing answers at 127\.0\.0\.1:\d+/);
    expect(noRank.output).toMatch(/^error ERR_SAN_RENDEZVOUS: waited 1 s .* for 1 of 2 ranks .*: 1;/);
  });

  test('a RANK given twice, and ranks that do not agree how many they are, are told apart', async () => {
    const out = join(folder, 'disagreeing');
    const startAll = async (...ranks: { RANK: string; WORLD_SIZE: string }[]) => {
      const port = String(await freePort());
      const late = ['--join-timeout', '6'];
      const started = ranks.map((rank) => start(train(out, ...late), { ...rank, MASTER_PORT: port }));
      return Promise.all(started.map(({ ended }) => ended));
    };
    const one = { RANK: '1', WORLD_SIZE: '3' };
    const [twice, differing] = await Promise.all([
      startAll({ RANK: '0', WORLD_SIZE: '3' }, one, one),
      startAll({ RANK: '0', WORLD_SIZE: '2' }, one),
    ]);
    expect([...twice, ...differing].map(({ code }) => code)).toEqual([1, 1, 1, 1, 1]);
    const told = twice.filter(({ output }) =>
      /^error ERR_SAN_RENDEZVOUS: there is a rank 1 already at .*: two processes have the same RANK/.test(
        output,
      ),
    );
    expect(told).toHaveLength(1);
    expect(differing[0]?.output).toMatch(
      /^error ERR_SAN_RENDEZVOUS: WORLD_SIZE is 2 for rank 0 and 3 for rank 1 \(process \d+ on .*\)/,
    );
  });
});
