// npm run quality -- GRID: set-up, then the comparison of pictures; --help tells its options.
import path from 'node:path';
import { prepare, root } from './prepare.mjs';
import { run, runMain } from './run.mjs';

await runMain(async () => {
  // stdout is for the results alone.
  await prepare({ newsTo: process.stderr });
  return run(process.execPath, [path.join(root, 'dist/quality/cli.js'), ...process.argv.slice(2)], {
    cwd: root,
  });
});
