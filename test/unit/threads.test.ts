import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultThreads } from '../../lib/threads.js';
import { temporaryFolder } from './support/temporary.js';

/** A system of eight CPUs, two on each core, with these files on top. */
async function system(files: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder();
  const topology = Object.fromEntries(
    Array.from({ length: 8 }, (_, cpu) => [
      `sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`,
      `${cpu % 4},${(cpu % 4) + 4}\n`,
    ]),
  );
  for (const [path, text] of Object.entries({ ...topology, ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const allowed = (list: string) => ({ 'proc/self/status': `Name:\tnode\nCpus_allowed_list:\t${list}\n` });

test.each<[string, Record<string, string>, number]>([
  ['physical cores', allowed('0-7'), 4],
  ['bound to some', allowed('1,4-5'), 2],
  ['two threads of one core', allowed('2,6'), 1],
  ['not told', {}, 0],
  [
    'a quota',
    { ...allowed('0-7'), 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '150000 100000\n' },
    2,
  ],
  [
    'no quota, but one further up',
    {
      ...allowed('0-7'),
      'proc/self/cgroup': '0::/a/b\n',
      'sys/fs/cgroup/a/b/cpu.max': 'max 100000\n',
      'sys/fs/cgroup/a/cpu.max': '300000 100000\n',
    },
    3,
  ],
  [
    'a quota in the old hierarchy',
    {
      ...allowed('0-7'),
      'proc/self/cgroup': '5:memory:/x\n4:cpu,cpuacct:/x\n',
      'sys/fs/cgroup/cpu/x/cpu.cfs_quota_us': '50000\n',
      'sys/fs/cgroup/cpu/x/cpu.cfs_period_us': '100000\n',
    },
    1,
  ],
  [
    'no limit in the old hierarchy',
    {
      ...allowed('0-7'),
      'proc/self/cgroup': '4:cpu,cpuacct:/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    4,
  ],
])('default threads: %s', async (_, files, threads) => {
  expect(defaultThreads({ root: await system(files), env: {} })).toBe(threads);
});

test('OMP_NUM_THREADS is left to LibTorch', async () => {
  expect(defaultThreads({ root: await system(allowed('0-7')), env: { OMP_NUM_THREADS: '3' } })).toBe(0);
});
