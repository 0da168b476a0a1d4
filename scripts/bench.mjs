// npm run bench [-- CASE...], and bench:gpu: set-up, then the benchmarks; --help tells their options.
//   --prepared   no set-up: for a machine without npm, where dist/ and the addon are there
import path from 'node:path';
import { prepare, root } from './prepare.mjs';
import { run, runMain } from './run.mjs';

const PREPARED = '--prepared';

await runMain(async () => {
  const options = process.argv.slice(2);
  // stdout is for the results alone.
  if (!options.includes(PREPARED)) await prepare({ newsTo: process.stderr });
  const others = options.filter((option) => option !== PREPARED);
  return run(process.execPath, [path.join(root, 'dist/bench/cli.js'), ...others], { cwd: root });
});
