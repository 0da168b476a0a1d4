/** The Python programs of quality/peers. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { UsageError } from '../lib/errors.js';

/**
 * Runs quality/peers/PROGRAM; what it prints goes to `onLine`. Throws UsageError without a Python, Error with the end of
 * its stderr when it fails, after an abort the signal's reason.
 */
export async function runPython(
  python: string | undefined,
  program: string,
  args: readonly string[],
  { signal, onLine }: { signal: AbortSignal; onLine?: (line: string) => void },
): Promise<void> {
  if (python === undefined)
    throw new UsageError(
      'peers and classifier take a Python with torch and numpy: python3, or the one that SAN_NATIVE_TEST_PYTHON names',
    );
  signal.throwIfAborted();
  const child = spawn(python, [join('quality/peers', program), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A thread that waits for another one at a barrier otherwise burns its core.
    env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' },
  });
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop);
  try {
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-4000);
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => onLine?.(text.trim()));
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject).on('close', resolve);
    });
    signal.throwIfAborted();
    if (status !== 0) throw new Error(`${program} failed: ${errors.trim().split('\n').at(-1)}`);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
