/** The newest whole checkpoint of a run folder that changes, or is not all there. */
import { copyFile, mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { parameterShapes } from '../../../lib/checkpoint/parameters.js';
import { inspectCheckpoint } from '../../../lib/inspect/inspect.js';
import { writeCheckpoint } from '../support/checkpoint.js';
import { temporaryFolder } from '../support/temporary.js';

/** What another process does as a file is read, and once it is. */
const meanwhile = vi.hoisted(() => ({
  before: async (_path: string) => {},
  after: async (_path: string) => {},
}));

vi.mock('../../../lib/checkpoint/safetensors.js', async (original) => {
  const actual = await original<typeof import('../../../lib/checkpoint/safetensors.js')>();
  return {
    ...actual,
    readSafetensors: async (path: string) => {
      await meanwhile.before(path);
      const file = await actual.readSafetensors(path);
      await meanwhile.after(path);
      return file;
    },
  };
});

afterEach(() => {
  meanwhile.before = async () => {};
  meanwhile.after = async () => {};
});

const addon = { parameters: parameterShapes };
const nameOf = (step: number) => `step-${String(step).padStart(6, '0')}.safetensors`;

async function runAt(step: number) {
  const run = await temporaryFolder();
  const folder = join(run, 'checkpoints');
  await mkdir(folder);
  const { path } = await writeCheckpoint(folder, {}, nameOf(step));
  return { run, folder, path };
}

describe('a run that still trains', () => {
  it('gives the newer checkpoint when the newest was replaced as it was read', async () => {
    const { run, folder, path } = await runAt(10);
    const newer = join(folder, nameOf(20));
    meanwhile.before = async (read) => {
      if (read !== path) return;
      await copyFile(path, newer);
      await rm(path);
    };
    expect(await loadCheckpoint(run, addon)).toMatchObject({ path: newer, damaged: [] });
  });

  it('is not looked at for ever', async () => {
    const { run, folder, path } = await runAt(10);
    let step = 10;
    meanwhile.before = async (read) => {
      await copyFile(read, join(folder, nameOf(++step)));
      await rm(read);
    };
    await expect(loadCheckpoint(run, addon)).rejects.toMatchObject({ code: 'ERR_SAN_CHECKPOINT_FORMAT' });
    expect(path).not.toBe(join(folder, nameOf(step)));
  });

  it('can be inspected when the checkpoint goes once it is read', async () => {
    const { run } = await runAt(10);
    meanwhile.after = (path) => rm(path);
    expect(await inspectCheckpoint(run)).toMatchObject({ step: 7, bytes: expect.any(Number) });
  });
});

describe('a checkpoint that leads nowhere', () => {
  it('is passed over like a damaged one', async () => {
    const { run, folder, path } = await runAt(10);
    const link = join(folder, nameOf(99));
    await symlink('/nonexistent', link);
    const damaged = [{ path: link, reason: `${link} is a link that leads nowhere` }];
    expect(await loadCheckpoint(run, addon)).toMatchObject({ path, damaged });
    await rm(path);
    await expect(loadCheckpoint(run, addon)).rejects.toMatchObject({ code: 'ERR_SAN_CHECKPOINT_FORMAT' });
  });
});

it('a folder that cannot be read is not one without checkpoints', async () => {
  const run = await temporaryFolder();
  const checkpoints = join(run, 'checkpoints');
  await symlink(checkpoints, checkpoints);
  await expect(loadCheckpoint(run, addon)).rejects.toMatchObject({
    code: 'ERR_SAN_OUTPUT',
    message: `cannot read ${checkpoints}: its symbolic links run in a circle`,
  });
});
