/** How many threads the engine computes with where nobody says: one for each physical core that this process may use. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the operating system says; `root` is for tests. */
export interface ThreadSources {
  root?: string;
  env?: NodeJS.ProcessEnv;
}

/**
 * Physical cores among the CPUs that the process is bound to (taskset, cpusets), but no more than the quotas of its control
 * groups allow (docker --cpus), at least 1. 0 where OMP_NUM_THREADS is set, which LibTorch follows, and where the
 * system does not tell.
 */
export function defaultThreads({ root = '/', env = process.env }: ThreadSources = {}): number {
  if (env.OMP_NUM_THREADS) return 0;
  const read = (path: string) => {
    try {
      return readFileSync(join(root, path), 'utf8');
    } catch {
      return undefined;
    }
  };
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(read('proc/self/status') ?? '')?.[1];
  if (allowed === undefined) return 0;
  const cores = new Set(
    cpuList(allowed).map(
      (cpu) => read(`sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`)?.trim() ?? String(cpu),
    ),
  );
  return Math.max(1, Math.min(cores.size, quota(read)));
}

/** CPUs that the control groups grant, rounded up; Infinity for no limit. */
function quota(read: (path: string) => string | undefined): number {
  let least = Number.POSITIVE_INFINITY;
  for (const line of (read('proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (group === undefined || (controllers !== '' && !controllers?.split(',').includes('cpu'))) continue;
    // In a container the path may be the host's: then only the top is there.
    for (let path = group; ; path = path.slice(0, path.lastIndexOf('/'))) {
      least = Math.min(least, controllers === '' ? limit2(read, path) : limit1(read, path));
      if (path === '' || path === '/') break;
    }
  }
  return Math.ceil(least);
}

function limit2(read: (path: string) => string | undefined, group: string): number {
  const [most, period] = (read(join('sys/fs/cgroup', group, 'cpu.max')) ?? 'max')
    .trim()
    .split(' ')
    .map(Number);
  return share(most, period);
}

function limit1(read: (path: string) => string | undefined, group: string): number {
  const folder = join('sys/fs/cgroup/cpu', group);
  return share(
    Number(read(join(folder, 'cpu.cfs_quota_us'))),
    Number(read(join(folder, 'cpu.cfs_period_us'))),
  );
}

const share = (most = 0, period = 0): number =>
  most > 0 && period > 0 ? most / period : Number.POSITIVE_INFINITY;

/** The numbers of a list such as 0-3,8. */
function cpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}
