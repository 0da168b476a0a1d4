import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { noFailure } from '../../../lib/checkpoint/metadata.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { modelOptions } from '../../../lib/config/schema.js';
import { CheckpointWriter } from '../../../lib/training/checkpoint-writer.js';
import { noSums } from '../../../lib/training/metrics-log.js';
import { RunFolder } from '../../../lib/training/run-folder.js';
import { FakeTrainer } from '../support/fake-addon.js';
import { temporaryFolder } from '../support/temporary.js';

const config = resolveConfig([
  { source: '', values: { imageSize: 16, baseWidth: 4, maxWidth: 8, keepLast: 1 } },
]);
const progress = { seconds: 1, recent: noSums(), guard: noFailure() };

it('removes older checkpoints and damaged ones, and leaves alone newer ones of another course', async () => {
  const folder = await RunFolder.claim(join(await temporaryFolder(), 'run'));
  await folder.begin(config, []);
  for (const step of [5, 40, 50]) await writeFile(folder.checkpoint(step), 'a checkpoint');
  await writeFile(join(folder.checkpoints, 'notes.txt'), 'mine');
  const trainer = new FakeTrainer(modelOptions(config));
  const damaged = [folder.checkpoint(40)];
  const writer = new CheckpointWriter({ trainer, config, folder, dataHash: 'abc', damaged });
  await writer.begin(10, progress);
  await writer.settled();
  expect(writer.results()).toEqual({ wrote: [folder.checkpoint(10)], steps: [10], failures: [] });
  expect((await readdir(folder.checkpoints)).sort()).toEqual([
    'notes.txt',
    'step-000010.safetensors',
    'step-000050.safetensors',
  ]);
});

it('writes nothing, and removes nothing, once another run has the folder', async () => {
  const folder = await RunFolder.claim(join(await temporaryFolder(), 'run'));
  await folder.begin(config, []);
  await writeFile(folder.checkpoint(5), 'a checkpoint');
  const trainer = new FakeTrainer(modelOptions(config));
  const lost = new Error('taken over');
  const after = async (looks: number) => {
    let left = looks;
    const requireLock = async () => {
      if (left-- === 0) throw lost;
    };
    const writer = new CheckpointWriter({ trainer, config, folder, dataHash: 'abc', requireLock });
    await writer.begin(10, progress);
    await writer.settled();
    expect(writer.results()).toEqual({ wrote: [], steps: [], failures: [lost] });
    return (await readdir(folder.checkpoints)).sort();
  };
  expect(await after(0)).toEqual(['step-000005.safetensors']);
  // Taken over while it was written.
  expect(await after(1)).toEqual(['step-000005.safetensors', 'step-000010.safetensors']);
});
