/** What the numbers were measured on. */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import { bytes } from '../lib/cli/format.js';
import { type CudaInfo, type Device, loadAddon } from '../lib/native.js';

export interface Machine {
  date: string;
  cpu: string;
  cores: number;
  /** Bytes. */
  memory: number;
  system: string;
  node: string;
  libtorch: string;
  /** Instruction set that ATen chose. */
  capability: string;
  /** CPU threads of every contender. */
  threads: number;
  /** Processes that wanted a core in the minute before, on average; above 0 others disturb the numbers. */
  load: number;
  /** The GPU, with its CUDA versions; absent where nothing ran on one. */
  gpu?: string;
  /** Python and torch of the peers; absent without them. */
  peers?: string;
}

export function describeMachine(threads: number, python: string | undefined, device: Device): Machine {
  const { libtorch, cpuCapability, cuda } = loadAddon().info();
  const gpu = gpuText(device, cuda);
  const peers = python && pythonVersions(python);
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: totalmem(),
    system: `${platform()} ${release()}`,
    node: process.versions.node,
    libtorch,
    capability: cpuCapability,
    threads,
    load: loadavg()[0] ?? 0,
    ...(gpu && { gpu }),
    ...(peers && { peers }),
  };
}

function gpuText(device: Device, { devices, driver, runtime }: CudaInfo): string | undefined {
  const found = devices[Number(device.split(':')[1])];
  if (found === undefined) return undefined;
  const version = (number: number) => `${Math.floor(number / 1000)}.${Math.floor((number % 1000) / 10)}`;
  return `${found.name}, sm_${found.capability.replace('.', '')}, ${bytes(found.bytes)}, CUDA ${version(runtime)}, driver for CUDA ${version(driver)}`;
}

const VERSIONS =
  'import platform, torch; print("Python", platform.python_version() + ", torch", torch.__version__)';

const pythonVersions = (python: string): string =>
  spawnSync(python, ['-c', VERSIONS], { encoding: 'utf8' }).stdout.trim();

/** SAN_NATIVE_TEST_PYTHON, or python3: the first that has torch. */
export function findPeerPython(): string | undefined {
  const candidates = [process.env.SAN_NATIVE_TEST_PYTHON, 'python3'];
  return candidates.find(
    (command) =>
      command !== undefined && spawnSync(command, ['-c', 'import torch, safetensors']).status === 0,
  );
}
