/** Profiles of the engine: what is recorded, and what it belongs to. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadAddon } from '../../lib/native.js';
import { profile } from '../../lib/profiling/profile.js';
import { trainerOptions } from './support.js';

const folder = await mkdtemp(join(tmpdir(), 'san-native-profile-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

test('every module of both networks has its forward and backward time', async () => {
  const path = join(folder, 'trace.json');
  const trainer = await loadAddon().createTrainer(trainerOptions());
  const work = () => trainer.run({ steps: 2 });
  const { result, profile: recorded } = await profile({ path, flops: 1e6, what: 'steps 1 to 2' }, work);
  expect(result.step).toBe(2);
  const calls = new Map(recorded.parts.map((part) => [part.name, part.calls]));
  for (let m = 0; m < 6; m++) {
    expect(calls.get(`generator.m${m}`)).toBe(2);
    // R(X) and R(G(Z)).
    expect(calls.get(`reverser.m${m}`)).toBe(4);
  }
  expect(calls.get('optimizer')).toBe(2);
  expect(recorded.parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 5);
  expect(recorded.seconds).toBeLessThanOrEqual(result.seconds * 1.01);
  const operations = recorded.operations.map(({ name }) => name);
  for (const operation of ['norm_act_skip', 'attention', 'ado_gate', 'rpa_gate'])
    expect(operations).toEqual(expect.arrayContaining([`san::${operation}`, `san::${operation}_backward`]));
  expect(recorded.dropped).toBe(0);
  expect(recorded.arithmetic?.peak.matmul).toBeGreaterThan(1e8);
  expect(recorded.arithmetic?.peak.convolution).toBeGreaterThan(1e8);

  const { traceEvents, otherData } = JSON.parse(await readFile(path, 'utf8'));
  expect(otherData.what).toBe('steps 1 to 2');
  const backward = traceEvents.filter(({ name }: { name: string }) => name === 'aten::convolution_backward');
  const parts = new Set(backward.map(({ args }: { args: { part: string } }) => args.part));
  for (let m = 0; m < 6; m++) {
    expect(parts).toContain(`generator.m${m}`);
    expect(parts).toContain(`reverser.m${m}`);
  }
  await trainer.dispose();
});

test('a profile changes no numbers, and what comes after it is not recorded', async () => {
  const addon = loadAddon();
  const [plain, watched] = [
    await addon.createTrainer(trainerOptions()),
    await addon.createTrainer(trainerOptions()),
  ];
  const expected = await plain.run({ steps: 2 });
  await addon.startProfile();
  await addon.startProfile();
  const found = await watched.run({ steps: 2 });
  expect((await addon.stopProfile()).begin.length).toBeGreaterThan(100);
  expect(found.losses).toEqual(expected.losses);
  await watched.run({ steps: 1 });
  expect(await addon.stopProfile()).toMatchObject({ names: [], dropped: 0 });
  await plain.dispose();
  await watched.dispose();
});

test('work that fails ends the profile', async () => {
  const fails = () => Promise.reject(new Error('no'));
  await expect(profile({ path: join(folder, 'none.json') }, fails)).rejects.toThrow('no');
  expect((await loadAddon().stopProfile()).names).toEqual([]);
});
