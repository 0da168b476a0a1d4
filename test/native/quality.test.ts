import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { npyHeader } from '../../lib/data/npy.js';
import type { ImageBatch } from '../../lib/native.js';
import { type Grid, parseGrid, runsOf } from '../../quality/grid.js';
import { Measure } from '../../quality/measure.js';
import { runPython } from '../../quality/python.js';
import { writeReport } from '../../quality/report.js';
import { folderOf, type RunContext, type RunResult, runOne } from '../../quality/runs.js';
import { findPython } from './python.js';

const COUNT = 96;
const GRID = `
set: fashion-32
images: 128
points: 2
samples: 8
settings: { widths: [8, 8, 8, 8, 8, 4, 4], batchSize: 32 }
contenders:
  san: {}
  dcgan: { peer: dcgan, average: true }
  swae: { peer: swae }
`;
const python = findPython('torch, numpy', 'the peers of npm run quality');
let folder = '';
let measure: Measure;
let context: RunContext;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  const images = squares(COUNT);
  const real: ImageBatch = { data: images.data.slice(0, 10 * 32 * 32), shape: [10, 32, 32, 1] };
  const [path, realPath] = [join(folder, 'images.npy'), join(folder, 'real.npy')];
  writeFileSync(path, Buffer.concat([npyHeader(images.shape), images.data]));
  writeFileSync(realPath, Buffer.concat([npyHeader(real.shape), real.data]));
  const set = { path, hash: 'squares', realPath, real };
  const { signal } = new AbortController();
  measure = await Measure.open(set, { threads: 1, signal });
  const grid = parseGrid(GRID, 'grid.yaml');
  context = {
    grid,
    set,
    measure,
    folder,
    threads: 1,
    device: 'cpu',
    python,
    parameters: 30_000,
    signal,
    show: () => {},
  };
});

afterAll(async () => {
  await measure.dispose();
  rmSync(folder, { recursive: true, force: true });
});

test('a SAN is trained and measured at each point, once', async () => {
  const first = await runOne(runOf('san'), context);
  expect(first.points.map(({ images }) => images)).toEqual([64, 128]);
  for (const { values } of first.points) {
    expect(Object.keys(values)).toEqual(['swd', 'diversity', 'sharpness', 'reconstruction']);
    for (const value of Object.values(values)) expect(value).toBeGreaterThanOrEqual(0);
  }
  expect(first.sample.shape).toEqual([64, 32, 32, 1]);
  const log = join(folderOf(folder, runOf('san')), 'run/metrics.jsonl');
  const { mtimeMs } = statSync(log);
  expect(await runOne(runOf('san'), context)).toEqual(first);
  expect(statSync(log).mtimeMs).toBe(mtimeMs);
});

test('a folder with a run of other settings is refused', async () => {
  await runOne(runOf('san'), context);
  const other = { ...runOf('san'), settings: { ...runOf('san').settings, wGI: 0.5 } };
  await expect(runOne(other, context)).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
});

test.skipIf(python === undefined)('peers are trained to the same number of images', async () => {
  const results: RunResult[] = [];
  for (const name of ['dcgan', 'swae']) results.push(await runOne(runOf(name), context));
  const [dcgan, swae] = results;
  expect(dcgan?.points.map(({ images }) => images)).toEqual([64, 128]);
  expect(dcgan?.points.at(-1)?.values).not.toHaveProperty('reconstruction');
  expect(swae?.points.at(-1)?.values.reconstruction).toBeGreaterThan(0);
  for (const { parameters } of results) expect(Math.abs(parameters / 30_000 - 1)).toBeLessThan(0.3);
  expect(await runOne(runOf('dcgan'), context)).toEqual(dcgan);
  await writeReport(folder, context.grid, { threads: 1 }, results);
  expect(readFileSync(join(folder, 'table.md'), 'utf8')).toContain('| dcgan |');
  expect(readFileSync(join(folder, 'curve-images.svg'), 'utf8')).toContain(
    'Sliced Wasserstein distance over images',
  );
});

test.skipIf(python === undefined)('a peer that is measured once is trained before', async () => {
  const grid: Grid = { ...context.grid, points: 1 };
  const at = { ...context, grid, folder: join(folder, 'once') };
  const { points } = await runOne(runOf('dcgan', grid), at);
  expect(points.map(({ images }) => images)).toEqual([128]);
});

test.skipIf(python === undefined)('a peer that was broken off goes on as if it had not been', async () => {
  const whole = folderOf(folder, runOf('dcgan'));
  await runOne(runOf('dcgan'), context);
  const out = join(folder, 'broken');
  for (const points of [1, 2]) {
    const args = { peer: 'dcgan', data: context.set.path, out, parameters: 30_000, samples: 8, threads: 1 };
    const flags = Object.entries({ ...args, points, images: 64 * points }).flatMap(([name, value]) => [
      `--${name}`,
      String(value),
    ]);
    await runPython(python, 'train.py', [...flags, '--average'], { signal: context.signal });
  }
  const samples = (run: string) => readFileSync(join(run, 'samples-128.npy'));
  expect(Buffer.compare(samples(out), samples(whole))).toBe(0);
});

test.skipIf(python === undefined)(
  'a step of a peer leaves the device that it is made on to none other',
  () => {
    // Operations refuse tensors of the meta device together with others, as they do those of a GPU.
    const program = `
import sys
sys.path.insert(0, "quality/peers")
import torch
from train import PEERS
torch.set_default_device("meta")
for name, peer in PEERS.items():
    model = peer(32, 1, 8)
    losses = model.step(lambda: torch.zeros(16, 1, 32, 32))
    assert losses and all(loss.device.type == "meta" for loss in losses.values()), name
    assert model.generate(model.latents(4)).device.type == "meta", name
`;
    const { status, stderr } = spawnSync(python as string, ['-c', program], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  },
);

test.skipIf(python === undefined)('a peer without its GPU says what is missing', async () => {
  const args = ['--peer', 'dcgan', '--data', context.set.path, '--out', join(folder, 'gpu')];
  const ended = runPython(
    python,
    'train.py',
    [...args, '--parameters', '30000', '--images', '64', '--device', 'cuda:99'],
    { signal: context.signal },
  );
  await expect(ended).rejects.toThrow('device cuda:99');
});

function runOf(name: string, grid: Grid = context.grid) {
  const run = runsOf(grid).find(({ contender }) => contender === name);
  if (run === undefined) throw new Error(`no ${name}`);
  return run;
}

/** Bright squares of other sizes on black. */
function squares(count: number): ImageBatch {
  const data = new Uint8Array(count * 32 * 32);
  for (let i = 0; i < count; i++) {
    for (let y = 4; y < 10 + (i % 20); y++)
      data.fill(128 + i, (i * 32 + y) * 32 + 4, (i * 32 + y) * 32 + 10 + (i % 17));
  }
  return { data, shape: [count, 32, 32, 1] };
}
