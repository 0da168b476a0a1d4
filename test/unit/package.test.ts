/** What the npm package has in it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

it('has the documents that README, help and docstrings name, and not the tests of the core', async () => {
  const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], {
    cwd: root,
    maxBuffer: 1 << 26,
  });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining(['README.md', 'docs/generation.md', 'docs/errors.md', 'CMakeLists.txt']),
  );
  expect(paths.filter((path) => path.startsWith('native/test/'))).toEqual([]);
  expect(paths.some((path) => path.startsWith('native/src/'))).toBe(true);
}, 60_000);
