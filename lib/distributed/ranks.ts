/**
 * What a launcher says of a process that is one of several ranks: torchrun's contract, which Kubeflow's PyTorchJob,
 * DeepSpeed and others keep as well, or what Slurm's srun and Open MPI's mpirun set.
 */
import { ConfigError } from '../errors.js';

/** One rank of a run, and where it meets the others. */
export interface RankOptions {
  /** From 0 to worldSize - 1. Rank 0 writes the run folder; the others are quiet. */
  rank: number;
  worldSize: number;
  /** Number among the ranks of its machine; default 0. */
  localRank?: number | undefined;
  /** Address and port that all ranks can reach. */
  host: string;
  port: number;
  /** Whether this process serves the store there; default on rank 0. */
  servesStore?: boolean | undefined;
  /** Starts of the run by its launcher before this one; from the second on a run resumes by itself. Default 0. */
  attempt?: number | undefined;
  /** Seconds to wait for the other ranks; default 60. */
  joinTimeout?: number | undefined;
  /** Seconds without a sign of life after which a rank is lost; default 60. */
  timeout?: number | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** torchrun's own default. */
const PORT = 29500;

/**
 * The rank that the environment variables describe; undefined when no launcher has set any. Throws ConfigError when they
 * are incomplete or contradict each other.
 */
export function rankFromEnvironment(variables: Variables = process.env): RankOptions | undefined {
  const found = fromTorchrun(variables) ?? fromSlurm(variables) ?? fromOpenMpi(variables);
  if (found && found.rank >= found.worldSize) {
    throw new ConfigError(
      `rank ${found.rank} of ${found.worldSize}: ranks are counted from 0; check RANK and WORLD_SIZE`,
      { field: 'RANK', value: found.rank },
    );
  }
  return found;
}

function fromTorchrun(variables: Variables): RankOptions | undefined {
  if (variables.RANK === undefined) return undefined;
  const worldSize = whole(variables, 'WORLD_SIZE');
  if (worldSize === undefined) throw missing('WORLD_SIZE', 'RANK');
  const host = variables.MASTER_ADDR ?? (worldSize === 1 ? 'localhost' : undefined);
  if (host === undefined || host === '') throw missing('MASTER_ADDR', 'RANK');
  const port = whole(variables, 'MASTER_PORT') ?? (worldSize === 1 ? PORT : undefined);
  if (port === undefined) throw missing('MASTER_PORT', 'RANK');
  const rank = whole(variables, 'RANK') ?? 0;
  return {
    rank,
    worldSize,
    localRank: whole(variables, 'LOCAL_RANK') ?? 0,
    host,
    port,
    servesStore: rank === 0 && variables.TORCHELASTIC_USE_AGENT_STORE !== 'True',
    attempt: whole(variables, 'TORCHELASTIC_RESTART_COUNT') ?? 0,
  };
}

/** Of a step that srun began: a batch script itself has no tasks beside it. */
function fromSlurm(variables: Variables): RankOptions | undefined {
  const worldSize = whole(variables, 'SLURM_STEP_NUM_TASKS') ?? 1;
  if (worldSize === 1 || variables.SLURM_PROCID === undefined) return undefined;
  const first = firstHost(variables.SLURM_STEP_NODELIST ?? variables.SLURM_JOB_NODELIST ?? '');
  const host = variables.MASTER_ADDR ?? first;
  if (host === undefined) throw missing('MASTER_ADDR', 'SLURM_PROCID');
  const job = whole(variables, 'SLURM_JOB_ID') ?? 0;
  return {
    rank: whole(variables, 'SLURM_PROCID') ?? 0,
    worldSize,
    localRank: whole(variables, 'SLURM_LOCALID') ?? 0,
    host,
    // Two jobs on one machine must not meet.
    port: whole(variables, 'MASTER_PORT') ?? 15_000 + (job % 15_000),
    attempt: whole(variables, 'SLURM_RESTART_COUNT') ?? 0,
  };
}

function fromOpenMpi(variables: Variables): RankOptions | undefined {
  const worldSize = whole(variables, 'OMPI_COMM_WORLD_SIZE') ?? 1;
  if (worldSize === 1 || variables.OMPI_COMM_WORLD_RANK === undefined) return undefined;
  const local = whole(variables, 'OMPI_COMM_WORLD_LOCAL_SIZE') === worldSize;
  const host = variables.MASTER_ADDR ?? (local ? '127.0.0.1' : undefined);
  if (host === undefined) throw missing('MASTER_ADDR', 'OMPI_COMM_WORLD_RANK');
  return {
    rank: whole(variables, 'OMPI_COMM_WORLD_RANK') ?? 0,
    worldSize,
    localRank: whole(variables, 'OMPI_COMM_WORLD_LOCAL_RANK') ?? 0,
    host,
    port: whole(variables, 'MASTER_PORT') ?? PORT,
  };
}

function whole(variables: Variables, name: string): number | undefined {
  const text = variables[name];
  if (text === undefined || text === '') return undefined;
  // Numbers of jobs have ten digits in a federation of Slurm clusters.
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new ConfigError(`${name} = ${JSON.stringify(text)} in the environment: expected a whole number`, {
    field: name,
    value: text,
  });
}

const missing = (name: string, beside: string): ConfigError =>
  new ConfigError(
    `${beside} is set in the environment, as by a launcher of several ranks, but ${name} is not; set ${name} as well, or unset ${beside} to train alone`,
    { field: name },
  );

/** "node[03-07,9],x1" -> "node03". */
function firstHost(list: string): string | undefined {
  const [, prefix, number = '', suffix = ''] = /^([^[,]+)(?:\[(\d+)[^\]]*\]([^,]*))?/.exec(list) ?? [];
  return prefix === undefined ? undefined : `${prefix}${number}${suffix}`;
}
