import { SetupError } from '../errors.js';
import { ending, run } from './run.js';

const PROBE_SECONDS = 120;

/**
 * Loads the addon in a process of its own. A library that is missing or crashes while it is loaded is thereby an
 * error with a message, and does not take this process down.
 */
export async function probeAddon(addon: string, env: NodeJS.ProcessEnv): Promise<void> {
  const script = `require(${JSON.stringify(addon)})`;
  const result = await run(process.execPath, ['-e', script], { env, timeoutSeconds: PROBE_SECONDS });
  if (result.status === 0) return;
  const reason = result.lines.find((line) => /^\w*Error\b/.test(line)) ?? result.lines.at(-1) ?? '';
  throw new SetupError(
    'ERR_SAN_ADDON',
    `the addon was built but does not load: node ${ending(result)}${reason && `: ${reason}`}`,
    { path: addon },
  );
}
