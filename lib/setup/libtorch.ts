import path from 'node:path';
import { SetupError } from '../errors.js';
import type { CudaChoice } from './cuda.js';
import { defaultCacheFolder, FetchFault, fetchedFolder, fetchedVersion, fetchLibTorch } from './fetch.js';
import { inspectLibTorch, isSupported, type LibTorchFolder, SUPPORTED_RANGE } from './inspect.js';
import type { OnProgress } from './progress.js';
import { locatePythonTorch } from './python.js';

/** One place that was looked in for LibTorch, and what came of it. */
export interface Attempt {
  where: string;
  outcome: string;
}

export interface LibTorch extends LibTorchFolder {
  source: 'environment' | 'cache' | 'python' | 'fetched';
}

export interface FindOptions {
  env?: NodeJS.ProcessEnv;
  /** san-native's cache folder; default the user's own. */
  cacheFolder?: string;
  /** With `on` a LibTorch without a CUDA library is passed over, or refused where it was named. */
  cuda?: CudaChoice | undefined;
  onProgress?: OnProgress;
}

const VARIABLE = 'SAN_NATIVE_LIBTORCH';
const ANY_VARIABLE = 'SAN_NATIVE_ANY_LIBTORCH';

/**
 * Finds LibTorch: the folder the user names, an earlier fetch, the torch that python3 imports, or a fetch now.
 * A folder that the user names is taken or refused, never passed over.
 */
export async function findLibTorch(
  options: FindOptions = {},
): Promise<{ libtorch: LibTorch; attempts: Attempt[] }> {
  const { env = process.env, cacheFolder = defaultCacheFolder(), onProgress = () => {} } = options;
  const needsCuda = options.cuda === 'on';
  const anyVersion = env[ANY_VARIABLE] === '1';
  const attempts: Attempt[] = [];
  const take = (source: LibTorch['source'], where: string, found: LibTorchFolder) => {
    attempts.push({ where, outcome: `LibTorch ${found.version} in ${found.path}` });
    return { libtorch: { ...found, source }, attempts };
  };

  const named = env[VARIABLE];
  if (named) return take('environment', VARIABLE, requireNamed(named, anyVersion, needsCuda));
  attempts.push({ where: VARIABLE, outcome: 'not set' });

  const cached = inspectLibTorch(fetchedFolder(cacheFolder, needsCuda));
  const cacheWhere = `earlier fetch in ${cacheFolder}`;
  if (cached.found) return take('cache', cacheWhere, cached.found);
  attempts.push({ where: cacheWhere, outcome: cached.fault });

  const python = await inspectPython(env, anyVersion);
  if (python.found && (python.found.cuda || !needsCuda))
    return take('python', 'torch of python3', python.found);
  attempts.push({
    where: 'torch of python3',
    outcome: python.fault ?? `${python.found.path} has no CUDA library`,
  });

  const fetchWhere = `pip install torch==${fetchedVersion(needsCuda)}`;
  try {
    return take('fetched', fetchWhere, await fetchLibTorch({ cacheFolder, env, needsCuda, onProgress }));
  } catch (error) {
    if (!(error instanceof FetchFault) && !(error as NodeJS.ErrnoException).syscall) throw error;
    attempts.push({ where: fetchWhere, outcome: (error as Error).message });
    throw notFound(attempts, error as Error);
  }
}

function requireNamed(named: string, anyVersion: boolean, needsCuda: boolean): LibTorchFolder {
  const fail = (fault: string) => {
    const message = `${VARIABLE}=${named} cannot be used: ${fault}`;
    return new SetupError('ERR_SAN_LIBTORCH_NOT_FOUND', message, { path: named, field: VARIABLE });
  };
  const { found, fault } = inspectLibTorch(path.resolve(named));
  if (!found) {
    throw fail(`${fault}; point it at a LibTorch or Python torch folder (include/, lib/), or unset it`);
  }
  if (!anyVersion && !isSupported(found.version)) {
    throw fail(
      `it is LibTorch ${found.version}, and ${SUPPORTED_RANGE} is supported; point it at one of those, ` +
        `unset it, or set ${ANY_VARIABLE}=1 to try this one all the same`,
    );
  }
  if (needsCuda && !found.cuda) {
    throw fail(
      'it has no CUDA library (no lib/libtorch_cuda.so); point it at a CUDA build, or set up with --cuda off',
    );
  }
  return found;
}

async function inspectPython(
  env: NodeJS.ProcessEnv,
  anyVersion: boolean,
): Promise<{ found: LibTorchFolder; fault?: never } | { found?: never; fault: string }> {
  const { origin, fault } = await locatePythonTorch(env);
  if (origin === undefined) return { fault };
  const folder = path.dirname(origin);
  const inspection = inspectLibTorch(folder);
  if (!inspection.found) return { fault: `${folder} is of no use: ${inspection.fault}` };
  const { version } = inspection.found;
  if (anyVersion || isSupported(version)) return inspection;
  return {
    fault: `torch ${version} in ${folder} is not of ${SUPPORTED_RANGE} (${ANY_VARIABLE}=1 takes it all the same)`,
  };
}

function notFound(attempts: Attempt[], cause: Error): SetupError {
  const tried = attempts.map(({ where, outcome }) => `${where}: ${outcome}`).join('; ');
  return new SetupError(
    'ERR_SAN_LIBTORCH_NOT_FOUND',
    `no LibTorch was found, nor could it be fetched; set ${VARIABLE} to a LibTorch or Python torch folder ` +
      `(${SUPPORTED_RANGE}), or mend the last of what was tried: ${tried}`,
    { field: VARIABLE },
    { cause },
  );
}
