/** The Python that some tests compare with. */
import { spawnSync } from 'node:child_process';

/**
 * A command that runs Python with `modules` (such as "numpy, scipy"): SAN_NATIVE_TEST_PYTHON or python3. Prints why
 * `what` is skipped when there is none.
 */
export function findPython(modules: string, what: string): string | undefined {
  const found = [process.env.SAN_NATIVE_TEST_PYTHON, 'python3'].find(
    (command) => command !== undefined && spawnSync(command, ['-c', `import ${modules}`]).status === 0,
  );
  if (found === undefined)
    console.info(`Skipping ${what}: no python3 with ${modules} here; SAN_NATIVE_TEST_PYTHON may name one`);
  return found;
}
