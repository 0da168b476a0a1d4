/**
 * kill -9 of a random rank at a random step, again and again, under torchrun --max-restarts:
 * node dist/test/acceptance/rank-kills.js TORCHRUN DATA OUT [KILLS] [RANKS] [STEPS] [SECONDS]. TORCHRUN may be several words,
 * such as "python3 -m torch.distributed.run". A rank is killed up to SECONDS after it began to take steps. Exit status 1
 * unless the run ends with all its steps and every checkpoint is whole.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inspectCheckpoint } from '../../lib/index.js';

const [torchrun = '', data = '', out = '', kills = '20', ranks = '2', steps = '3000', seconds = '6'] =
  process.argv.slice(2);
const [command = '', ...words] = torchrun.split(' ');
const program = fileURLToPath(new URL('../../../bin/san-native.js', import.meta.url));

const settings = ['--image-size', '16', '--base-width', '4', '--max-width', '16', '--batch-size', '8'];
const run = spawn(
  command,
  [
    ...words,
    ...['--no-python', '--nproc-per-node', ranks, '--max-restarts', '200', '--monitor-interval', '0.2'],
    ...[process.execPath, program, 'train', data, '--out', out, ...settings],
    ...['--steps', steps, '--checkpoint-every', '20', '--sample-every', '0', '--rank-timeout', '10'],
  ],
  { stdio: ['ignore', 'inherit', 'ignore'] },
);
const ended = once(run, 'exit');

/** Processes that torchrun has started, and what they have been told. */
async function workers(): Promise<{ pid: number; rank: string; attempt: string }[]> {
  const found = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    if (Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]) !== run.pid) continue;
    const variables = await readFile(`/proc/${name}/environ`, 'latin1').catch(() => '');
    const value = (key: string) => new RegExp(`(?:^|\0)${key}=([^\0]*)`).exec(variables)?.[1];
    const rank = value('RANK');
    if (rank !== undefined)
      found.push({ pid: Number(name), rank, attempt: value('TORCHELASTIC_RESTART_COUNT') ?? '' });
  }
  return found;
}

/** The step of the last whole line of metrics; 0 before there is one. */
async function lastStep(): Promise<number> {
  const lines = await readFile(`${out}/metrics.jsonl`, 'utf8').catch(() => '');
  return Number(/.*"step":(\d+).*\n$/.exec(lines)?.[1] ?? 0);
}

/** Waits until the run takes steps; an attempt begins by taking back those behind its checkpoint. */
async function stepsGoOn(): Promise<void> {
  for (let seen = await lastStep(); run.exitCode === null; ) {
    await delay(50);
    const now = await lastStep();
    if (now > seen) return;
    seen = now;
  }
}

let done = 0;
let attempt = '';
for (; done < Number(kills) && run.exitCode === null; ) {
  await delay(500);
  const now = await workers();
  const chosen = now[Math.floor(Math.random() * now.length)];
  // One kill an attempt, or none would ever get anywhere.
  if (chosen === undefined || chosen.attempt === attempt) continue;
  // Not before it takes steps, however long a busy machine is in starting it.
  await stepsGoOn();
  await delay(1000 * Number(seconds) * Math.random());
  if (run.exitCode !== null) break;
  try {
    process.kill(chosen.pid, 'SIGKILL');
  } catch {
    continue;
  }
  attempt = chosen.attempt;
  done++;
  console.log(`kill ${done}: rank ${chosen.rank} of attempt ${attempt}, after step ${await lastStep()}`);
}
const [code] = await ended;
const checkpoints = (await readdir(`${out}/checkpoints`)).filter((name) => name.endsWith('.safetensors'));
for (const name of checkpoints) {
  const { step } = await inspectCheckpoint(`${out}/checkpoints/${name}`);
  console.log(`${name}: whole, step ${step}`);
}
const last = checkpoints.toSorted().at(-1);
const good = code === 0 && done === Number(kills) && last === `step-${steps.padStart(6, '0')}.safetensors`;
console.log(
  `${done} kills, exit status ${code}, last checkpoint ${last}: ${good ? 'as it should be' : 'WRONG'}`,
);
process.exitCode = good ? 0 : 1;
