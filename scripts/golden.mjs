// npm run golden -- FILE...: set-up, then the native code against golden files.
import path from 'node:path';
import { prepare, root } from './prepare.mjs';
import { run, runMain } from './run.mjs';

await runMain(async () => {
  await prepare();
  // npm runs scripts in the package's folder; files are meant from where the user is.
  const from = process.env.INIT_CWD ?? process.cwd();
  const args = process.argv.slice(2).map((arg) => (arg.startsWith('-') ? arg : path.resolve(from, arg)));
  return run(process.execPath, [path.join(root, 'dist/test/golden/cli.js'), ...args], { cwd: root });
});
