// npm run build: dependencies, TypeScript, LibTorch and the addon, whatever of it is not up to date.
//   --force         builds the addon from scratch
//   --dependencies  stops when the dependencies are in
//   --typescript    stops when the TypeScript is compiled
import { compile, installDependencies, prepare } from './prepare.mjs';
import { Failure, runMain } from './run.mjs';

const OPTIONS = ['--force', '--dependencies', '--typescript'];

await runMain(async () => {
  const options = process.argv.slice(2);
  const unknown = options.find((option) => !OPTIONS.includes(option));
  if (unknown) throw new Failure(`unknown option ${unknown}, known are ${OPTIONS.join(', ')}`, 2);
  if (options.includes('--dependencies')) {
    await installDependencies();
  } else if (options.includes('--typescript')) {
    await installDependencies();
    await compile();
  } else {
    await prepare({ force: options.includes('--force') });
  }
  return 0;
});
