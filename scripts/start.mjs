// npm start [-- TRAIN OPTIONS]: set-up, some minutes of training on emoji, and a sheet of new ones.
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { prepare, root } from './prepare.mjs';
import { run, runMain } from './run.mjs';

const DATA = 'node_modules/@lobehub/fluent-emoji-3d/assets';
const IMAGES = 64;

await runMain(async () => {
  const { seconds: setupSeconds, duration } = await prepare();
  const options = process.argv.slice(2);
  const folder = outOption(options) ?? path.join('runs', `quickstart-${timestamp()}`);
  const grid = path.join(folder, 'generated.png');
  const cli = (...args) => run(process.execPath, ['bin/san-native.js', ...args], { cwd: root });

  const start = performance.now();
  console.log('Training');
  const trained = await cli('train', DATA, '--preset', 'quickstart', ...options, '--out', folder);
  const trainingSeconds = (performance.now() - start) / 1000;
  if (trained !== 0) return trained;
  const checkpoints = await readdir(path.resolve(root, folder, 'checkpoints')).catch(() => []);
  // After --help or a look before training there is nothing to draw with.
  if (checkpoints.length === 0) return 0;

  console.log(`Generating ${IMAGES} images`);
  const generated = await cli('generate', folder, '--count', String(IMAGES), '--grid', grid, '--quiet');
  if (generated !== 0) return generated;

  const lines = {
    'Generated images': grid,
    'Loss curve': path.join(folder, 'losses.svg'),
    Checkpoint: path.join(folder, 'checkpoints', checkpoints.sort().at(-1)),
    'Set-up time': duration(setupSeconds),
    'Training time': duration(trainingSeconds),
  };
  console.log();
  for (const [name, value] of Object.entries(lines)) console.log(`${name.padEnd(18)}${value}`);
  return 0;
});

/** The run folder, if the options given to training name one. */
function outOption(options) {
  const at = options.findLastIndex((option) => /^(--out|-o)(=|$)/.test(option));
  return at < 0 ? undefined : (options[at].match(/=(.*)/)?.[1] ?? options[at + 1]);
}

/** The local time as 20260131-174500, for a folder that is new each time. */
function timestamp() {
  const now = new Date();
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString();
  return local.slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
}
