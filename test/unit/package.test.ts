/** What the npm package has in it, and what it is in a program that installs it. */
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryFolder } from './support/temporary.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

it('has the documents that README, help and docstrings name, and not the tests of the core', async () => {
  const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], {
    cwd: root,
    maxBuffer: 1 << 26,
  });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      'README.md',
      'docs/generation.md',
      'docs/errors.md',
      'examples/serve.ts',
      'CMakeLists.txt',
    ]),
  );
  expect(paths.filter((path) => path.startsWith('native/test/'))).toEqual([]);
  expect(paths.some((path) => path.startsWith('native/src/'))).toBe(true);
}, 60_000);

it('tells its own version, not that of a program that installs it', async () => {
  const folder = await temporaryFolder();
  const modules = join(folder, 'node_modules');
  const installed = join(modules, 'san-native');
  await mkdir(installed, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "version": "98.7.6" }');
  for (const name of ['package.json', 'bin', 'dist']) await symlink(join(root, name), join(installed, name));
  for (const name of await readdir(join(root, 'node_modules')))
    if (!name.startsWith('.')) await symlink(join(root, 'node_modules', name), join(modules, name));
  const bin = join(installed, 'bin/san-native.js');
  const flags = ['--preserve-symlinks', '--preserve-symlinks-main'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, bin, '--version'], {
    cwd: folder,
  });
  expect(stdout).toMatch(/^0\.\d+\.\d+\n$/);
}, 60_000);

it('says that it cannot be part of a bundle', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  for (const name of ['native.js', 'errors.js', 'shown.js', 'threads.js'])
    await cp(join(root, 'dist/lib', name), join(folder, 'out', name));
  const url = pathToFileURL(join(folder, 'out/native.js')).href;
  const program = `try { (await import('${url}')).loadAddon(); } catch (error) { console.log(error.message); }`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  expect(stdout).toMatch(/is not built .*; san-native cannot be part of a bundle: declare it external\n$/);
});
