// npm run build [-- --force]: dependencies, TypeScript, LibTorch and the addon, whatever of it is not up to date.
import { prepare } from './prepare.mjs';
import { runMain } from './run.mjs';

await runMain(async () => {
  await prepare({ force: process.argv.includes('--force') });
  return 0;
});
