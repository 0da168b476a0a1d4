/** `train` as several ranks: who tells a plan, and who starts what. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askToResume } from '../../../lib/cli/ask.js';
import { launchRanks } from '../../../lib/distributed/launch.js';
import { cli } from '../support/cli.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/distributed/launch.js', () => ({ launchRanks: vi.fn(async () => 0) }));
vi.mock('../../../lib/cli/ask.js', () => ({ askToResume: vi.fn(async () => false) }));

beforeEach(() => {
  vi.mocked(launchRanks).mockClear();
  vi.mocked(askToResume).mockClear();
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const PLAN = ['train', 'none', '--print-config', '--json'];

/** As a launcher of two ranks sets them. */
function asRank(rank: number): void {
  const variables = { RANK: rank, WORLD_SIZE: 2, MASTER_ADDR: '127.0.0.1', MASTER_PORT: 29500 };
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, String(value));
}

describe('a plan of several ranks', () => {
  it.each(['--ranks', '--gpus'])('is told at once by who would start them with %s', async (flag) => {
    const { status, out, err } = await cli(...PLAN, flag, '2');
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({ imageSize: { value: 32 } });
    expect(launchRanks).not.toHaveBeenCalled();
  });

  it('is told by rank 0 alone', async () => {
    asRank(0);
    expect(JSON.parse((await cli(...PLAN)).out)).toMatchObject({ imageSize: { value: 32 } });
    asRank(1);
    const preview = join(await temporaryFolder(), 'seen.png');
    for (const flags of [['--print-config'], ['--dry-run'], ['--preview-augment', preview]])
      expect(await cli('train', 'none', ...flags)).toEqual({ status: 0, out: '', err: '' });
  });

  it('is refused with a wrong number of them, or within a rank', async () => {
    expect(await cli(...PLAN, '--ranks', '0')).toMatchObject({
      status: 2,
      err: expect.stringContaining('--ranks 0: expected a whole number from 1 to 1024'),
    });
    asRank(0);
    expect(await cli(...PLAN, '--ranks', '2')).toMatchObject({
      status: 2,
      err: expect.stringContaining('--ranks starts the ranks itself'),
    });
  });
});

it('without a plan the ranks are started', async () => {
  expect(await cli('train', 'none', '--out', 'run', '--ranks', '3')).toMatchObject({ status: 0 });
  expect(launchRanks).toHaveBeenCalledWith(3, expect.anything());
});

it('ranks do not see the flag that starts them, however often it was given', async () => {
  const words = [
    'train',
    'none',
    '--ranks',
    '2',
    '--out',
    'run',
    '--ranks=4',
    '--steps',
    '5',
    '--ranks',
    '3',
  ];
  vi.spyOn(process, 'argv', 'get').mockReturnValue(['node', 'bin', ...words]);
  expect(await cli(...words)).toMatchObject({ status: 0 });
  expect(launchRanks).toHaveBeenCalledWith(3, ['train', 'none', '--out', 'run', '--steps', '5']);
});

it('whether to continue a run is asked before there are ranks, and never by one', async () => {
  vi.spyOn(process, 'argv', 'get').mockReturnValue(['node', 'bin', 'train', 'none', '--out', 'run']);
  vi.mocked(askToResume).mockResolvedValueOnce(true);
  expect(await cli('train', 'none', '--out', 'run', '--ranks', '2')).toMatchObject({ status: 0 });
  expect(launchRanks).toHaveBeenLastCalledWith(2, ['train', '--resume', 'none', '--out', 'run']);
  expect(await cli('train', 'none', '--out', 'run', '--ranks', '2')).toMatchObject({ status: 0 });
  expect(launchRanks).toHaveBeenLastCalledWith(2, ['train', 'none', '--out', 'run']);
  expect(await cli('train', 'none', '--out', 'run', '--ranks', '2', '--resume')).toMatchObject({ status: 0 });
  expect(askToResume).toHaveBeenCalledTimes(2);
  asRank(0);
  vi.stubEnv('WORLD_SIZE', '1');
  expect((await cli('train', 'none', '--out', '/dev/null/run')).status).toBe(1);
  expect(askToResume).toHaveBeenCalledTimes(2);
});
