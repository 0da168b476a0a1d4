// npm run test:gpu: set-up, then the tests of the GPU, and those of the core library in the same build.
//   --prepared   no set-up: for a machine without npm, where dist/ and the addon are there
import path from 'node:path';
import { prepare, root } from './prepare.mjs';
import { Failure, run, runMain } from './run.mjs';

await runMain(async () => {
  const options = process.argv.slice(2);
  const unknown = options.find((option) => option !== '--prepared');
  if (unknown) throw new Failure(`unknown option ${unknown}, known is --prepared`, 2);
  if (!options.includes('--prepared')) await prepare();
  const build = path.resolve(root, process.env.SAN_NATIVE_BUILD || 'build');
  const commands = [
    [process.execPath, path.join(root, 'dist/test/gpu/device.js')],
    ['cmake', '--build', build, '--target', 'san_core_tests'],
    [path.join(build, 'san_core_tests')],
  ];
  let worst = 0;
  for (const [command, ...args] of commands) worst ||= await run(command, args, { cwd: root });
  return worst;
});
