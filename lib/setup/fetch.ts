import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import envPaths from 'env-paths';
import { makeFolders } from '../files.js';
import { inspectLibTorch, type LibTorchFolder } from './inspect.js';
import { withLock } from './lock.js';
import { type OnProgress, step } from './progress.js';
import { pipFault, pipInstall } from './python.js';
import { ending } from './run.js';

/** The version that is fetched: where CUDA is needed, the one that the CUDA variant is compiled against in CI. */
export const fetchedVersion = (needsCuda: boolean): string => (needsCuda ? '2.14.1' : '2.13.0');
const TEMPORARY = '.fetching-';

/** Why LibTorch could not be fetched, in words that fit behind "pip install torch: ". */
export class FetchFault extends Error {}

/** The user's cache folder for san-native; all clones share it. */
export function defaultCacheFolder(): string {
  const { cache } = envPaths('san-native', { suffix: '' });
  // Without HOME the path is relative; the account's own entry is then the better guess.
  return path.resolve(os.userInfo().homedir, cache);
}

/** Where a fetched torch package lies. The platform is in the name since a home folder may serve several. */
export function fetchedFolder(cacheFolder: string, needsCuda = false): string {
  return path.join(libtorchFolder(cacheFolder), fetchedName(needsCuda), 'torch');
}

const libtorchFolder = (cacheFolder: string) => path.join(cacheFolder, 'libtorch');
const fetchedName = (needsCuda: boolean) =>
  `torch-${fetchedVersion(needsCuda)}-${process.platform}-${process.arch}${needsCuda ? '-cuda' : ''}`;

/**
 * Fetches torch with pip into the cache folder. Everything happens in a temporary folder that takes its final
 * name only once it has been checked, so a broken-off fetch is never mistaken for a whole one. Processes that
 * fetch at the same time wait for one another, and all but the first find the work done.
 */
export async function fetchLibTorch(options: {
  cacheFolder: string;
  env: NodeJS.ProcessEnv;
  /** A build without a CUDA library will not do. */
  needsCuda: boolean;
  onProgress: OnProgress;
}): Promise<LibTorchFolder> {
  const { cacheFolder, env, needsCuda, onProgress } = options;
  const version = fetchedVersion(needsCuda);
  const fault = await pipFault(env);
  if (fault) throw new FetchFault(fault);

  const parent = libtorchFolder(cacheFolder);
  await makeFolders(parent).catch((error: Error) => {
    throw new FetchFault(`the cache folder cannot be made (${error.message}); set XDG_CACHE_HOME to another`);
  });
  const onWait = () => onProgress({ kind: 'detail', text: 'waiting for another process that is fetching' });
  return step(onProgress, `Fetching LibTorch ${version} with pip`, () =>
    withLock(parent, 'fetch.lock', onWait, async () => {
      const folder = path.join(parent, fetchedName(needsCuda));
      const earlier = inspectLibTorch(path.join(folder, 'torch')).found;
      if (earlier) return earlier;

      // The lock is ours: whatever is left of other fetches was broken off.
      for (const name of await readdir(parent)) {
        if (name.startsWith(TEMPORARY)) await remove(path.join(parent, name));
      }
      const temporary = await mkdtemp(path.join(parent, TEMPORARY));
      try {
        const target = path.join(temporary, 'site');
        await install(target, { temporary, env, needsCuda, onProgress, log: path.join(parent, 'fetch.log') });
        await remove(folder);
        await rename(target, folder);
      } finally {
        await remove(temporary);
      }
      const { found, fault } = inspectLibTorch(path.join(folder, 'torch'));
      if (!found) throw new FetchFault(fault);
      return found;
    }),
  );
}

const remove = (folder: string) => rm(folder, { recursive: true, force: true, maxRetries: 3 });

async function install(
  target: string,
  options: {
    temporary: string;
    env: NodeJS.ProcessEnv;
    needsCuda: boolean;
    onProgress: OnProgress;
    log: string;
  },
): Promise<void> {
  const { temporary, env, needsCuda, onProgress, log } = options;
  const version = fetchedVersion(needsCuda);
  await rm(log, { force: true });

  const pip = async (...packages: string[]) => {
    const onLine = (line: string) => {
      const text = line.trim();
      if (/^(Collecting|Downloading|Processing|Installing)\b/.test(text)) {
        onProgress({ kind: 'detail', text: text.replace(/\S*\//, '') });
      }
    };
    const result = await pipInstall(target, packages, { env, temporary, log, onLine });
    if (result.status === 0) return;
    const reason = result.lines.filter((line) => line.startsWith('ERROR:')).at(-1) ?? result.lines.at(-1);
    throw new FetchFault(
      `pip ${ending(result)}: ${reason?.replace(/^ERROR: /, '') ?? ''} (its output is in ${log})`,
    );
  };

  await pip('--no-deps', `torch==${version}`);
  const { found, fault } = inspectLibTorch(path.join(target, 'torch'));
  if (!found) throw new FetchFault(`the package that pip gave is of no use: ${fault}`);
  if (found.version.split('+')[0] !== version) {
    throw new FetchFault(`pip gave torch ${found.version} where ${version} was asked for`);
  }
  if (needsCuda && !found.cuda) {
    throw new FetchFault(
      `pip gave torch ${found.version}, which has no CUDA library; let PIP_EXTRA_INDEX_URL name PyTorch's index for your CUDA`,
    );
  }
  if (found.cuda) {
    // A CUDA build links to libraries that come in packages of their own and must lie beside it.
    const requirements = await cudaRequirements(target);
    if (requirements.length > 0) await pip(...requirements);
  }
}

/** The requirements of an installed torch that carry shared libraries, as pip understands them. */
export async function cudaRequirements(target: string): Promise<string[]> {
  const info = (await readdir(target)).find((name) => /^torch-.*\.dist-info$/.test(name));
  const file = path.join(target, info ?? '', 'METADATA');
  if (!info || !existsSync(file)) return [];
  return [...(await readFile(file, 'utf8')).matchAll(/^Requires-Dist:\s*(.+?)\s*$/gm)]
    .map(([, requirement]) => requirement ?? '')
    .filter(
      (requirement) => /^(nvidia-|cuda-toolkit\b)/.test(requirement) && !/\bextra\s*==/.test(requirement),
    );
}
