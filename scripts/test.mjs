// npm test [-- VITEST ARGUMENTS]: set-up, then the tests. Ends with a line of the counts.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { prepare, root } from './prepare.mjs';
import { run, runMain } from './run.mjs';

const PROJECTS = ['unit', 'native'];

await runMain(async () => {
  await prepare();
  const args = process.argv.slice(2);
  const projects = args.some((arg) => arg.startsWith('--project')) ? [] : PROJECTS;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'san-native-test-'));
  const counts = path.join(folder, 'counts.json');
  try {
    const vitest = path.join(root, 'node_modules/vitest/vitest.mjs');
    const options = projects.map((name) => `--project=${name}`);
    const env = { ...process.env, SAN_NATIVE_TEST_COUNTS: counts };
    const status = await run(process.execPath, [vitest, 'run', ...options, ...args], { cwd: root, env });
    const text = await readFile(counts, 'utf8').catch(() => undefined);
    if (text) console.log(summary(JSON.parse(text)));
    return status;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
}
