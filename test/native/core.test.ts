import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { root } from './support.js';

const run = promisify(execFile);

// It compiles them first.
const MINUTES = 20;

test(
  'the core library passes its own tests: random numbers, assignment, operations and their derivatives',
  async () => {
    await run('cmake', ['--build', 'build', '--target', 'san_core_tests'], { cwd: root, maxBuffer: 1 << 26 });
    // What failed stands in what it prints, which an Error of execFile leaves out.
    // As the addon's loader does it (docs/threads.md): beside other busy processes spinning threads take minutes.
    const env = { GOMP_SPINCOUNT: '3000', ...process.env };
    const stdout = await run(`${root}build/san_core_tests`, { env }).then(
      (ended) => ended.stdout,
      (error) => `${error.stdout}${error.stderr}${error.signal ?? ''}`,
    );
    expect(stdout.split('\n').filter((line: string) => line.startsWith('FAILED'))).toEqual([]);
    expect(stdout).toMatch(/^\d{2,} expectations, 0 failed$/m);
  },
  60_000 * MINUTES,
);
