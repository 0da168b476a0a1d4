// Formats the C++ and CUDA sources; with --check only names the files that are not formatted.

import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { root } from './prepare.mjs';
import { Failure, runMain } from './run.mjs';

await runMain(async () => {
  const check = process.argv.includes('--check');
  const tool = path.join(root, 'node_modules/clang-format/index.js');
  const entries = await readdir(path.join(root, 'native'), { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && /\.(h|cpp|cu|cuh)$/.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort();
  let differing = 0;
  for (const file of files) {
    const before = await readFile(path.join(root, file), 'utf8');
    const { stdout: after } = await promisify(execFile)(process.execPath, [tool, '--style=file', file], {
      cwd: root,
      maxBuffer: 64 * 1024 ** 2,
    });
    if (after === before) continue;
    differing += 1;
    console.log(file);
    if (!check) await writeFile(path.join(root, file), after);
  }
  if (check && differing > 0) throw new Failure('these files are not formatted, run npm run format');
  console.log(`clang-format: ${files.length} files, ${differing} ${check ? 'not formatted' : 'changed'}`);
  return 0;
});
