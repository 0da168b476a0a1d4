import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { inspectCheckpoint } from '../../../lib/inspect/inspect.js';
import { writeCheckpoint } from '../support/checkpoint.js';
import { cli } from '../support/cli.js';
import { temporaryFolder } from '../support/temporary.js';

// Nothing here may need the addon.
vi.mock('../../../lib/native.js', async (original) => ({
  ...(await original()),
  loadAddon: () => {
    throw new Error('the addon was asked for');
  },
}));

describe('inspect', () => {
  it('tells what a checkpoint holds', async () => {
    const folder = await temporaryFolder();
    const { path, config, parameters } = await writeCheckpoint(folder);
    const found = await inspectCheckpoint(path);
    expect(found).toMatchObject({
      path,
      step: 7,
      images: 700,
      seconds: 1.5,
      dataHash: 'abc',
      skipped: 1,
      averaged: true,
      resumable: false,
      metrics: {},
      config,
    });
    expect(found.checksum).toMatch(/^[0-9a-f]{64}$/);
    const numbers = parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(found.parameters.total.total).toBe(numbers);
    expect(found.parameters.parts).toHaveLength(8);
    expect(found.tensors).toContainEqual({
      name: 'ema.kernel.latent',
      dtype: 'float32',
      shape: [64, 4, 1, 1],
      rms: 0.25,
      largest: 0.25,
    });
  });

  it('adds the latest numbers of the run up to that step', async () => {
    const run = await temporaryFolder();
    await mkdir(join(run, 'checkpoints'));
    await writeCheckpoint(join(run, 'checkpoints'), {}, 'step-000007.safetensors');
    const lines = [
      '{"step":5,"lgi":0.5,"lgd":2}',
      '{"step":6,"swd":31}',
      '{"step":7,"lgi":0.25}',
      '{"step":8,"lgi":9}',
      '{"ste',
    ];
    await writeFile(join(run, 'metrics.jsonl'), lines.join('\n'));
    expect((await inspectCheckpoint(run)).metrics).toEqual({
      lgi: { step: 7, value: 0.25 },
      lgd: { step: 5, value: 2 },
      swd: { step: 6, value: 31 },
    });
    const { out } = await cli('inspect', run);
    expect(out).toContain('measured    lgd 2.00 (step 5), lgi 0.250, swd 31.0 (step 6)');
  });

  it('prints tables, tensors on demand, and JSON', async () => {
    const folder = await temporaryFolder();
    const { path } = await writeCheckpoint(folder);
    const plain = await cli('inspect', path);
    expect(plain.out).toContain('images      8×8, grey');
    expect(plain.out).toMatch(/\nmodule 5 +[\d,]+ +[\d,]+ +[\d,]+ +[\d,]+\n/);
    expect(plain.out).not.toContain('kernel.m0.b0');
    const tensors = await cli('inspect', path, '--tensors');
    expect(tensors.out).toMatch(/\nkernel\.m0\.b0 +float32 +\[4, 4, 3, 3\] +0\.500 +0\.500\n/);
    expect(JSON.parse((await cli('inspect', path, '--json')).out)).toMatchObject({ step: 7, path });
  });

  it('refuses what is damaged, and passes over it in a run', async () => {
    const run = await temporaryFolder();
    await mkdir(join(run, 'checkpoints'));
    await writeCheckpoint(join(run, 'checkpoints'), {}, 'step-000007.safetensors');
    const { path } = await writeCheckpoint(join(run, 'checkpoints'), {}, 'step-000009.safetensors');
    await truncate(path, 5000);
    const { status, err } = await cli('inspect', path);
    expect([status, err]).toEqual([1, expect.stringMatching(/^error ERR_SAN_CHECKPOINT_FORMAT: .*\n$/)]);
    const older = await cli('inspect', run);
    const { damaged } = JSON.parse((await cli('inspect', run, '--json')).out);
    expect(damaged).toMatchObject([{ path }]);
    const exported = await cli('export', run, '--out', join(run, 'models'), '--json', '--quiet');
    expect(exported.err).toBe('');
    expect(JSON.parse(exported.out).damaged).toEqual(damaged);
    expect(older.err).toMatch(/^warning: passed over a damaged checkpoint: .*step-000009/);
    expect(older.out).toContain('step-000007.safetensors');
  });
});
