import { copyFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadCheckpoint, networkTensors, saveCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { CHECKSUM_KEY, seal, UNSEALED } from '../../../lib/checkpoint/checksum.js';
import { encodeSafetensors, readSafetensors } from '../../../lib/checkpoint/safetensors.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { modelOptions } from '../../../lib/config/schema.js';
import { CheckpointError } from '../../../lib/errors.js';
import type { NativeTensor } from '../../../lib/native.js';
import { fakeAddon, fakeTensors, progress, tensor } from '../support/fake-addon.js';
import { temporaryFolder } from '../support/temporary.js';

const { addon } = fakeAddon();
const config = resolveConfig([{ source: '', values: { imageSize: 16, baseWidth: 4, maxWidth: 8, seed: 9 } }]);
const tensors = fakeTensors(modelOptions(config));

async function saved(changed: NativeTensor[] = tensors, name = 'step-000012.safetensors'): Promise<string> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'checkpoints'));
  const path = join(folder, 'checkpoints', name);
  await saveCheckpoint(path, { config, step: 12, images: 768, ...progress, tensors: changed });
  return path;
}

async function failure(path: string): Promise<CheckpointError> {
  const caught = await loadCheckpoint(path, addon).catch((error) => error);
  expect(caught).toBeInstanceOf(CheckpointError);
  expect(caught.message).not.toContain('\n');
  return caught;
}

describe('a checkpoint', () => {
  it('comes back as it was saved', async () => {
    const path = await saved();
    const loaded = await loadCheckpoint(path, addon);
    expect(loaded).toMatchObject({ config, step: 12, images: 768, ...progress, path, damaged: [] });
    const byName = (list: readonly NativeTensor[]) => new Map(list.map((entry) => [entry.name, entry]));
    expect(byName(loaded.tensors)).toEqual(byName(tensors));
  });

  it('gives inference its parameters and their average, not the moments', () => {
    expect(networkTensors(tensors).map(({ name }) => name)).toEqual([
      'kernel.latent',
      'reverser.image.bias',
      'ema.kernel.latent',
    ]);
  });

  it('is found in a run folder: the newest whole one', async () => {
    const oldest = await saved();
    const folder = join(oldest, '..');
    const [middle, newest] = ['step-000100.safetensors', 'step-1000000.safetensors'].map((name) =>
      join(folder, name),
    );
    await copyFile(oldest, middle as string);
    await copyFile(oldest, newest as string);
    const run = join(folder, '..');
    expect((await loadCheckpoint(run, addon)).path).toBe(newest);
    await truncate(newest as string, 700);
    const loaded = await loadCheckpoint(run, addon);
    expect(loaded.path).toBe(middle);
    expect(loaded.damaged).toEqual([{ path: newest, reason: expect.stringContaining(newest as string) }]);
    await truncate(middle as string, 3);
    await truncate(oldest, 0);
    expect(await failure(run)).toMatchObject({
      code: 'ERR_SAN_CHECKPOINT_FORMAT',
      message: expect.stringMatching(/^none of the 3 checkpoints in .* can be read; the newest: /),
    });
  });

  it('is missed by name', async () => {
    const folder = await temporaryFolder();
    expect(await failure(join(folder, 'none'))).toMatchObject({ code: 'ERR_SAN_CHECKPOINT_NOT_FOUND' });
    expect(await failure(folder)).toMatchObject({ code: 'ERR_SAN_CHECKPOINT_NOT_FOUND' });
  });

  it.each([
    [
      'a tensor of another shape',
      'kernel.latent',
      [64, 8, 1, 2],
      /kernel\.latent of shape \[64, 8, 1, 2\].*\[64, 8, 1, 1\]/,
    ],
    [
      'an average of another shape',
      'ema.kernel.latent',
      [1],
      /ema\.kernel\.latent of shape \[1\].*\[64, 8, 1, 1\]/,
    ],
  ])('with %s is refused', async (_, name, shape, message) => {
    const path = await saved(tensors.map((entry) => (entry.name === name ? tensor(name, shape) : entry)));
    expect(await failure(path)).toMatchObject({
      code: 'ERR_SAN_CHECKPOINT_MISMATCH',
      message: expect.stringMatching(message),
    });
  });

  it('without one of its tensors is refused', async () => {
    const path = await saved(tensors.filter(({ name }) => name !== 'reverser.image.bias'));
    expect(await failure(path)).toMatchObject({
      code: 'ERR_SAN_CHECKPOINT_MISMATCH',
      message: `${path} lacks tensor reverser.image.bias of shape [4]`,
    });
  });

  it.each<[Record<string, string>, string]>([
    [{}, 'its metadata lacks "format"'],
    [{ format: 'pt' }, 'its metadata has format = "pt"'],
    [{ format: 'san-native', version: '2' }, 'its metadata has version = "2"'],
    [
      { format: 'san-native', version: '1', step: '-1', images: '0', config: '{}' },
      'its metadata has step = "-1"',
    ],
    [{ format: 'san-native', version: '1', step: '1', images: '0' }, 'its metadata lacks "config"'],
    [{ format: 'san-native', version: '1', step: '1', images: '0', config: '{' }, 'its config is not JSON'],
    [
      { format: 'san-native', version: '1', step: '1', images: '0', config: 'null' },
      'its config is not JSON',
    ],
    [
      { format: 'san-native', version: '1', step: '1', images: '0', config: '{"lambda": 7}' },
      'lambda = 7 in its config: expected a number from 0 to 1',
    ],
    [
      { format: 'san-native', version: '1', step: '1', images: '0', config: '{"later": 7}' },
      'unknown config key "later" in its config',
    ],
  ])('with metadata %o is refused', async (metadata, reason) => {
    const path = join(await temporaryFolder(), 'odd.safetensors');
    const counted = { seconds: '0.000', data: '', recent: JSON.stringify(progress.recent) };
    const [header, ...data] = encodeSafetensors(tensors, {
      ...counted,
      [CHECKSUM_KEY]: UNSEALED,
      ...metadata,
    });
    await seal(header, data);
    await writeFile(path, Buffer.concat([header, ...data]));
    expect(await failure(path)).toMatchObject({
      code: 'ERR_SAN_CHECKPOINT_FORMAT',
      message: `${path} is not a san-native checkpoint: ${reason}`,
    });
  });

  it.each([
    ['seconds', 'long'],
    ['recent', '{"steps":1}'],
    ['recent', '{'],
    ['checksum', 'none'],
  ])('with %s = %s is refused', async (key, value) => {
    const path = await saved();
    const [header, ...data] = encodeSafetensors(tensors, {
      ...(await readSafetensors(path)).metadata,
      [key]: value,
    });
    await writeFile(path, Buffer.concat([header, ...data]));
    expect((await failure(path)).message).toContain(`its metadata has ${key} = "${value}"`);
  });

  it('without a checksum is refused', async () => {
    const path = await saved();
    const { checksum: _, ...metadata } = (await readSafetensors(path)).metadata;
    await writeFile(path, Buffer.concat(encodeSafetensors(tensors, metadata)));
    expect((await failure(path)).message).toContain('its metadata lacks "checksum"');
  });

  it('with one bit flipped, in whichever byte, is refused', async () => {
    const whole = await readFile(await saved());
    const flipped = join(await temporaryFolder(), 'flipped.safetensors');
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (at % 8)), at);
      await writeFile(flipped, bytes);
      expect((await failure(flipped)).code).toBe('ERR_SAN_CHECKPOINT_FORMAT');
    }
  }, 120_000);

  it('cut anywhere is refused', async () => {
    const path = await saved();
    const whole = await readFile(path);
    const cut = join(await temporaryFolder(), 'cut.safetensors');
    for (let length = 0; length < whole.length; length += 97) {
      await writeFile(cut, whole.subarray(0, length));
      expect((await failure(cut)).code).toBe('ERR_SAN_CHECKPOINT_FORMAT');
    }
  });
});
