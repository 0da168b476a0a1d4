/** What the addon asks of the disk for Node. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { addonPath, loadAddon } from '../../lib/native.js';

test("a file system's sync: done, or told that it cannot be", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  try {
    writeFileSync(join(folder, 'ä'), 'new');
    const { syncFileSystem } = loadAddon();
    expect(await syncFileSystem({ path: folder })).toBe(process.platform === 'linux');
    expect(await syncFileSystem({ path: join(folder, 'ä') })).toBe(process.platform === 'linux');
    expect(await syncFileSystem({ path: join(folder, 'none') })).toBe(false);
    await expect(syncFileSystem({ path: 7 as never })).rejects.toMatchObject({ code: 'ERR_SAN_OPTIONS' });
    await expect(syncFileSystem({ path: folder, all: true } as never)).rejects.toMatchObject({
      code: 'ERR_SAN_OPTIONS',
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a worker may end in the middle of one', async () => {
  const code = `const { initialise } = require(${JSON.stringify(addonPath())});
    const { syncFileSystem } = initialise(class extends Error {}, 1, 2 ** 32);
    for (let i = 0; i < 20; i++) syncFileSystem({ path: '/' });
    require('node:worker_threads').parentPort.postMessage('going');`;
  const worker = new Worker(code, { eval: true });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  expect(await worker.terminate()).toBe(1);
});
