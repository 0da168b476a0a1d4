import { ending, type RunResult, run } from './run.js';

/**
 * Tells where `import torch` would find its package without importing it, which would take seconds. The current
 * folder is left out: a folder that happens to be called torch is no installation.
 */
const FIND_TORCH = `
import importlib.util, json, sys
sys.path = [entry for entry in sys.path if entry]
spec = importlib.util.find_spec('torch')
print(json.dumps(spec.origin if spec else None))
`;

const ASK_SECONDS = 60;

/** Path of torch/__init__.py of the torch that python3 imports, or why there is none. */
export async function locatePythonTorch(
  env: NodeJS.ProcessEnv,
): Promise<{ origin: string; fault?: never } | { origin?: never; fault: string }> {
  const result = await run('python3', ['-c', FIND_TORCH], { env, timeoutSeconds: ASK_SECONDS });
  if (result.missing) return { fault: 'there is no python3 on PATH' };
  if (result.status !== 0) return { fault: `python3 ${ending(result)}: ${result.lines.at(-1) ?? ''}` };
  const origin = parse(result.stdout);
  return origin ? { origin } : { fault: 'python3 has no torch' };
}

function parse(stdout: string): string | undefined {
  try {
    const value: unknown = JSON.parse(stdout);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Why packages cannot be installed with python3 here; undefined when they can. */
export async function pipFault(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const result = await run('python3', ['-m', 'pip', '--version'], { env, timeoutSeconds: ASK_SECONDS });
  if (result.missing) return 'there is no python3 on PATH; install Python 3.10 or later with pip';
  if (result.status !== 0) return 'python3 has no pip; install it (on Debian and Ubuntu: python3-pip)';
  return undefined;
}

/**
 * Installs packages into a folder with pip, never from source. Settings that are meant for a user's own
 * environments and would forbid a target folder are switched off; indexes and certificates stay as configured.
 */
export function pipInstall(
  target: string,
  packages: string[],
  options: { env: NodeJS.ProcessEnv; temporary: string; log: string; onLine: (line: string) => void },
): Promise<RunResult> {
  const args = ['-m', 'pip', 'install', '--target', target, '--no-compile', '--no-user'];
  return run('python3', [...args, '--only-binary=:all:', '--progress-bar=off', ...packages], {
    env: {
      ...options.env,
      PIP_DISABLE_PIP_VERSION_CHECK: '1',
      PIP_NO_INPUT: '1',
      PIP_REQUIRE_VIRTUALENV: '0',
      PIP_ROOT_USER_ACTION: 'ignore',
      // pip unpacks here before it moves packages to the target: the same disk, and not a small /tmp.
      TMPDIR: options.temporary,
    },
    log: options.log,
    onLine: options.onLine,
  });
}
