/** Two ranks under the real torchrun: one is killed, --max-restarts starts both again, and the run goes on to its end. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { savePhotos } from './photos.js';
import { findPython } from './python.js';
import { root } from './support.js';

const python = findPython('torch.distributed.run', 'torchrun');

test.skipIf(python === undefined)(
  'torchrun restarts a killed rank, and the run ends whole',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'san-native-test-'));
    try {
      const data = join(folder, 'photos');
      await savePhotos(data);
      const torchrun = `${python} -m torch.distributed.run`;
      const script = join(root, 'dist/test/acceptance/rank-kills.js');
      const { stdout } = await promisify(execFile)(process.execPath, [
        script,
        ...[torchrun, data, join(folder, 'run')],
        ...['1', '2', '300', '0.5'],
      ]);
      expect(stdout).toMatch(/^kill 1: rank [01] of attempt 0, after step \d+$/m);
      expect(stdout).toMatch(
        /^1 kills, exit status 0, last checkpoint step-000300\.safetensors: as it should be$/m,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  300_000,
);
