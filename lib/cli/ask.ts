/** The one question that training asks: whether to go on with the run that is in the folder already. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { RunFolder, stepOfCheckpoint } from '../training/run-folder.js';
import { ExitStatus } from './exit-status.js';

/** Where a question is asked; both must be terminals. */
export interface Terminal {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream & { isTTY?: boolean };
}

const INTERRUPTED = 130;
const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

/**
 * Whether to continue the run at `path`; false, without a question, where there is none or nobody to ask.
 * Throws ExitStatus after Ctrl-C.
 */
export async function askToResume(
  path: string,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (!input.isTTY || !output.isTTY) return false;
  const run = await describeRun(path);
  return run !== undefined && confirm(`${run}. Continue it?`, { input, output });
}

/** "runs/x holds a run (step 1200 of 2000, 3 minutes ago)"; undefined for anything that train() has its own words for. */
async function describeRun(path: string): Promise<string | undefined> {
  try {
    const folder = await RunFolder.find(path);
    if (folder === undefined) return undefined;
    const { steps } = JSON.parse(await readFile(folder.config, 'utf8')) as { steps?: unknown };
    const names = await readdir(folder.checkpoints).catch(() => []);
    const step = Math.max(0, ...names.map((name) => stepOfCheckpoint(name) ?? 0));
    const { mtimeMs } = await stat(step > 0 ? folder.checkpoint(step) : folder.config);
    return `${path} holds a run (step ${step} of ${steps}, ${timeAgo((Date.now() - mtimeMs) / 1000)})`;
  } catch {
    return undefined;
  }
}

/** "3 minutes ago", in the largest unit that there is one of. */
export function timeAgo(seconds: number): string {
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ['second', 1];
  const count = Math.max(0, Math.floor(seconds / length));
  return new Intl.RelativeTimeFormat('en').format(-count, unit);
}

/** Enter alone means yes; the end of the input means no. */
async function confirm(question: string, { input, output }: Terminal): Promise<boolean> {
  const lines = createInterface({ input, output, terminal: true });
  const left = new AbortController();
  let interrupted = false;
  lines.on('SIGINT', () => {
    interrupted = true;
    lines.close();
  });
  lines.once('close', () => left.abort());
  try {
    for (;;) {
      const answer = (await lines.question(`${question} [Y/n] `, { signal: left.signal })).trim();
      if (/^(y|yes)?$/i.test(answer)) return true;
      if (/^(n|no)$/i.test(answer)) return false;
    }
  } catch (error) {
    if (!left.signal.aborted) throw error;
    output.write('\n');
    if (interrupted) throw new ExitStatus(INTERRUPTED);
    return false;
  } finally {
    lines.close();
  }
}
