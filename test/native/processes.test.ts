/** The command line as a process of some special kind. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { savePhotos } from './photos.js';
import { root } from './support.js';

const bin = join(root, 'bin/san-native.js');
const UNSHARE = ['unshare', '-rpf', '--mount-proc'] as const;
const [first, ...more] = UNSHARE;
const canBeFirst = spawnSync(first, [...more, 'true']).status === 0;
if (!canBeFirst)
  console.log(`Skipping the first process of a container: ${UNSHARE.join(' ')} is not permitted`);

let folder = '';
let photos = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  photos = await savePhotos(join(folder, 'photos'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.runIf(canBeFirst)(
  'a second SIGTERM leaves at once as the first process of a container too',
  async () => {
    // Seconds for a step.
    const slow = '--estimator sinkhorn --sinkhorn-iterations 5000 --checkpoint-every 1 --keep-last 0'.split(
      ' ',
    );
    const small = '--image-size 8 --widths 16,16,8,8,8,4,4 --batch-size 4 --sample-count 4'.split(' ');
    const out = join(folder, 'run');
    const args = [...slow, ...small, '--steps', '1000', '--json'];
    const program = spawn(first, [...more, process.execPath, bin, 'train', photos, '--out', out, ...args]);
    let output = '';
    for (const stream of [program.stdout, program.stderr]) stream.on('data', (chunk) => (output += chunk));
    const signals = setInterval(() => {
      if (!existsSync(join(out, 'checkpoints/step-000001.safetensors'))) return;
      const children = readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8');
      if (children.trim() !== '') process.kill(Number(children), 'SIGTERM');
    }, 20);
    const [code] = await once(program, 'close');
    clearInterval(signals);
    expect(code, output).toBe(143);
    expect(output).not.toContain('"type":"end"');
  },
);

test.runIf(process.platform !== 'win32')('too few open files are told in one line', () => {
  const script = `ulimit -n 40; exec "${process.execPath}" "${bin}" inspect none`;
  const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^error EMFILE: san-native cannot be loaded: too many files are open; .*\n$/);
});
