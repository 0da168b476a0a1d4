import { describe, expect, test } from 'vitest';
import { rankFromEnvironment } from '../../../lib/distributed/ranks.js';

const torchrun = {
  RANK: '1',
  LOCAL_RANK: '1',
  WORLD_SIZE: '2',
  MASTER_ADDR: 'host1',
  MASTER_PORT: '29501',
};

test('no launcher, no rank', () => {
  expect(rankFromEnvironment({})).toBeUndefined();
  // A batch script itself is no step of srun's.
  expect(rankFromEnvironment({ SLURM_PROCID: '0', SLURM_NTASKS: '4', SLURM_JOB_ID: '7' })).toBeUndefined();
});

test('torchrun', () => {
  expect(rankFromEnvironment(torchrun)).toMatchObject({
    rank: 1,
    localRank: 1,
    worldSize: 2,
    host: 'host1',
    port: 29501,
    attempt: 0,
    servesStore: false,
  });
});

test('rank 0 serves the store unless torchrun’s agent does', () => {
  const first = { ...torchrun, RANK: '0' };
  expect(rankFromEnvironment(first)?.servesStore).toBe(true);
  expect(rankFromEnvironment({ ...first, TORCHELASTIC_USE_AGENT_STORE: 'True' })?.servesStore).toBe(false);
  expect(rankFromEnvironment({ ...first, TORCHELASTIC_RESTART_COUNT: '3' })?.attempt).toBe(3);
});

test.each([
  ['node[03-07,9]', 'node03'],
  ['gpu1,gpu2', 'gpu1'],
  ['a[1-2].example,b', 'a1.example'],
])('srun: the first host of %s', (list, host) => {
  const variables = { SLURM_PROCID: '3', SLURM_STEP_NUM_TASKS: '8', SLURM_LOCALID: '1', SLURM_JOB_ID: '31' };
  expect(rankFromEnvironment({ ...variables, SLURM_STEP_NODELIST: list })).toMatchObject({
    rank: 3,
    localRank: 1,
    worldSize: 8,
    host,
    port: 15_031,
  });
});

test('srun: a job that was requeued goes on', () => {
  const variables = {
    SLURM_PROCID: '0',
    SLURM_STEP_NUM_TASKS: '2',
    SLURM_STEP_NODELIST: 'a',
    SLURM_JOB_ID: '7',
  };
  expect(rankFromEnvironment(variables)?.attempt).toBe(0);
  expect(rankFromEnvironment({ ...variables, SLURM_RESTART_COUNT: '2' })?.attempt).toBe(2);
});

test('srun: the job of a federation of clusters has a number of 32 bits', () => {
  const variables = { SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '2', SLURM_STEP_NODELIST: 'a[1-2]' };
  expect(rankFromEnvironment({ ...variables, SLURM_JOB_ID: '4026531841' })?.port).toBe(15_000 + 6_841);
});

test('mpirun on one machine needs no address', () => {
  const variables = { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4' };
  const local = { ...variables, OMPI_COMM_WORLD_LOCAL_SIZE: '4', OMPI_COMM_WORLD_LOCAL_RANK: '1' };
  expect(rankFromEnvironment(local)).toMatchObject({ rank: 1, worldSize: 4, host: '127.0.0.1' });
  expect(() => rankFromEnvironment(variables)).toThrow(/MASTER_ADDR/);
});

describe('what is wrong is named', () => {
  test.each([
    [{ ...torchrun, WORLD_SIZE: undefined }, /WORLD_SIZE is not/],
    [{ ...torchrun, MASTER_ADDR: undefined }, /MASTER_ADDR is not/],
    [{ ...torchrun, MASTER_PORT: undefined }, /MASTER_PORT is not/],
    [{ ...torchrun, MASTER_PORT: 'http' }, /MASTER_PORT = "http"/],
    [{ ...torchrun, RANK: '2' }, /rank 2 of 2/],
  ])('%#', (variables, message) => {
    expect(() => rankFromEnvironment(variables)).toThrow(message);
  });
});
