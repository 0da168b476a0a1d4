import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { SetupError } from '../errors.js';
import { makeFolders } from '../files.js';
import { addonPath, buildFolder } from '../native.js';
import { type CudaChoice, cudaToolchain } from './cuda.js';
import type { LibTorchFolder } from './inspect.js';
import { withLock } from './lock.js';
import { probeAddon } from './probe.js';
import { type OnProgress, step } from './progress.js';
import { ending, onPath, type RunResult, run } from './run.js';
import { configuredFor, hashSources, readStamp, sameConfiguration, writeStamp } from './stamp.js';

export interface BuildOptions {
  /** The package's folder, with CMakeLists.txt and native/. */
  root: string;
  libtorch: LibTorchFolder;
  env?: NodeJS.ProcessEnv;
  /** CUDA variant: default auto. */
  cuda?: CudaChoice | undefined;
  /** Start from an empty build folder, whatever is there. */
  force?: boolean;
  onProgress?: OnProgress;
}

const LOCK = 'setup.lock';
const LOG = 'build.log';
/** What one compiler needs at its largest file. */
const BYTES_PER_JOB = 2 * 1024 ** 3;
const TAIL_LINES = 25;

/** Builds the addon unless the one that is there was made from the same things. Resolves to whether it built. */
export async function buildAddon(options: BuildOptions): Promise<boolean> {
  const { root, libtorch, force = false, onProgress = () => {} } = options;
  const build = buildFolder(root);
  const { cuda = 'auto', env = process.env } = options;
  const configured = configuredFor(root, libtorch, cudaToolchain(libtorch, cuda, env));
  const hash = await hashSources(root, configured);
  const isCurrent = () => !force && existsSync(addonPath(root)) && readStamp(build)?.hash === hash;
  if (isCurrent()) return false;

  await makeFolders(build).catch((error: Error) => {
    throw new SetupError('ERR_SAN_BUILD', `the addon cannot be built in ${build}: ${error.message}`, {
      path: build,
    });
  });
  const onWait = () => onProgress({ kind: 'detail', text: 'waiting for another set-up in this folder' });
  return step(onProgress, 'Building the addon', () =>
    withLock(build, LOCK, onWait, async () => {
      if (isCurrent()) return false;
      if (force || !sameConfiguration(readStamp(build), configured)) await empty(build);
      writeStamp(build, { configured });
      await compile(options, build, onProgress);
      await probeAddon(addonPath(root), env);
      writeStamp(build, { configured, hash });
      return true;
    }),
  );
}

/** Removes everything from a build folder but the lock that is held in it. */
async function empty(build: string): Promise<void> {
  for (const name of await readdir(build)) {
    if (name !== LOCK) await rm(path.join(build, name), { recursive: true, force: true });
  }
}

async function compile(options: BuildOptions, build: string, onProgress: OnProgress): Promise<void> {
  const { root, libtorch, env = process.env, cuda = 'auto' } = options;
  const needed = [
    { found: onPath(env, 'cmake'), name: 'cmake' },
    { found: env.CXX ?? onPath(env, 'c++', 'g++'), name: 'g++' },
  ];
  const missing = needed.filter(({ found }) => !found).map(({ name }) => name);
  if (missing.length > 0) {
    const message = `the addon cannot be built: ${missing.join(' and ')} must be on PATH (on Debian and Ubuntu: apt install cmake g++ ninja-build)`;
    throw new SetupError('ERR_SAN_BUILD', message);
  }

  const log = path.join(build, LOG);
  await rm(log, { force: true });
  const cmakeJs = async (...args: string[]) => {
    const onLine = (line: string) => {
      const [, done, all] = line.match(/^\[\s*(\d+)\/(\d+)\]/) ?? line.match(/^\[\s*(\d+%)\]()/) ?? [];
      if (done) onProgress({ kind: 'detail', text: all ? `${done} of ${all}` : done });
    };
    const cli = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
    const common = ['--directory', root, '--out', build, '--config', 'Release'];
    const result = await run(process.execPath, [cli, ...args, ...common], { cwd: root, env, log, onLine });
    if (result.status === 0 && (args[0] === 'configure' || existsSync(addonPath(root)))) return;
    onProgress({ kind: 'output', lines: result.lines.slice(-TAIL_LINES) });
    throw buildError(args[0] ?? '', result, log);
  };
  const generator = onPath(env, 'ninja', 'ninja-build') ? 'Ninja' : 'Unix Makefiles';
  await cmakeJs(
    'configure',
    '--generator',
    generator,
    `--CDLIBTORCH=${libtorch.path}`,
    `--CDSAN_CUDA=${cuda.toUpperCase()}`,
  );
  await cmakeJs('build', '--parallel', String(jobs(env)));
}

function buildError(phase: string, result: RunResult, log: string): SetupError {
  const first = result.lines.find((line) => /\berror\b:|^CMake Error|undefined reference/i.test(line));
  const what = phase === 'configure' ? 'CMake could not configure the addon' : 'the addon does not build';
  const reason = first?.trim() ?? `cmake-js ${phase} ${ending(result)}`;
  return new SetupError('ERR_SAN_BUILD', `${what}: ${reason}; all output is in ${log}`, { path: log });
}

/** As many compilers at once as there are cores and memory for; CMake's own variable has the last word. */
export function jobs(env: NodeJS.ProcessEnv, memory = process.availableMemory()): number {
  const asked = Number(env.CMAKE_BUILD_PARALLEL_LEVEL);
  if (Number.isInteger(asked) && asked > 0) return asked;
  return Math.max(1, Math.min(os.availableParallelism(), Math.floor(memory / BYTES_PER_JOB)));
}
