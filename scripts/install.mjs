// Installs the locked dependencies if others, or none, are in node_modules.
import { installDependencies } from './prepare.mjs';
import { runMain } from './run.mjs';

await runMain(async () => {
  await installDependencies();
  return 0;
});
