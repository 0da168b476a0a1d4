/** Starts the ranks of a run on this machine, for those without torchrun. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { availableParallelism, constants } from 'node:os';
import { createInterface } from 'node:readline';

/** Milliseconds that ranks have to end by themselves after one has failed, and then after SIGTERM. */
const GRACE = 20_000;
const LAST_GRACE = 5_000;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1'] as const;

/**
 * Runs this program with `args` as `count` ranks and gives the exit status: that of the rank that failed first, or 0.
 * Rank 0 has this process's input and output; what others print on stderr is passed on under their number. When this
 * process is killed, the ranks see their channel to it close and end in order.
 */
export async function launchRanks(count: number, args: readonly string[]): Promise<number> {
  const port = await freePort();
  // Threads of several ranks that want all cores each would wait for one another.
  const threads = Math.max(1, Math.floor(availableParallelism() / count));
  const ranks = Array.from({ length: count }, (_, rank) => {
    const child = spawn(process.execPath, [process.argv[1] ?? '', ...args], {
      stdio: rank === 0 ? ['inherit', 'inherit', 'inherit', 'ipc'] : ['ignore', 'ignore', 'pipe', 'ipc'],
      env: {
        OMP_NUM_THREADS: String(threads),
        ...process.env,
        RANK: String(rank),
        LOCAL_RANK: String(rank),
        WORLD_SIZE: String(count),
        LOCAL_WORLD_SIZE: String(count),
        MASTER_ADDR: '127.0.0.1',
        MASTER_PORT: String(port),
      },
    });
    if (child.stderr) prefixLines(child.stderr, rank);
    return child;
  });
  const forward = (signal: NodeJS.Signals) => {
    for (const child of signal === 'SIGUSR1' ? ranks.slice(0, 1) : ranks) child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    return await statusOf(ranks);
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

async function statusOf(ranks: readonly ChildProcess[]): Promise<number> {
  let status = 0;
  let timer: NodeJS.Timeout | undefined;
  const endAll = (signal: NodeJS.Signals) => {
    for (const child of ranks) if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  };
  await Promise.all(
    ranks.map(async (child) => {
      const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
      const own = code ?? 128 + constants.signals[signal ?? 'SIGKILL'];
      if (own === 0 || status !== 0) return;
      status = own;
      timer = setTimeout(() => {
        endAll('SIGTERM');
        timer = setTimeout(() => endAll('SIGKILL'), LAST_GRACE);
      }, GRACE);
    }),
  );
  clearTimeout(timer);
  return status;
}

function prefixLines(stream: NodeJS.ReadableStream, rank: number): void {
  createInterface({ input: stream }).on('line', (line) => process.stderr.write(`[rank ${rank}] ${line}\n`));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
