// npm run bench [-- CASE...]: set-up, then the benchmarks; --help tells their options.
import path from 'node:path';
import { prepare, root } from './prepare.mjs';
import { run, runMain } from './run.mjs';

await runMain(async () => {
  // stdout is for the results alone.
  await prepare({ newsTo: process.stderr });
  return run(process.execPath, [path.join(root, 'dist/bench/cli.js'), ...process.argv.slice(2)], {
    cwd: root,
  });
});
