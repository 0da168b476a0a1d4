import { spawn } from 'node:child_process';
import { accessSync, constants, createWriteStream, statSync } from 'node:fs';
import path from 'node:path';

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** The command's whole output is added to this file. */
  log?: string;
  onLine?: (line: string) => void;
  timeoutSeconds?: number;
}

export interface RunResult {
  /** Exit status; undefined when the command could not be started or was ended by a signal. */
  status?: number;
  signal?: NodeJS.Signals;
  /** The command does not exist or cannot be executed. */
  missing: boolean;
  stdout: string;
  /** Lines of stdout and stderr together, the last ones when there are many. */
  lines: string[];
}

const KEPT_LINES = 2000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const DELIVERY_MS = 500;

/**
 * Runs a command without input and resolves when it has ended, however it ended. The command leads a process
 * group of its own. When this process is told to stop, it ends that group first and then itself by the same
 * signal, so that no compiler or download is left running.
 */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve) => {
    const log = options.log ? createWriteStream(options.log, { flags: 'a' }) : undefined;
    log?.on('error', () => {}); // The log is a convenience: a full disk shows in the command itself.
    log?.write(`$ ${[command, ...args].join(' ')}\n`);

    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let stdout = '';
    let missing = false;
    let received: NodeJS.Signals | undefined;
    const lines: string[] = [];

    const kill = (signal: NodeJS.Signals) => {
      try {
        if (child.pid) process.kill(-child.pid, signal);
      } catch {
        // The group has ended on its own.
      }
    };
    const onSignal = (signal: NodeJS.Signals) => {
      received ??= signal;
      kill(signal);
    };
    for (const signal of SIGNALS) process.on(signal, onSignal);
    const timer = options.timeoutSeconds && setTimeout(() => kill('SIGKILL'), options.timeoutSeconds * 1000);

    const collect = (stream: NodeJS.ReadableStream, keep: boolean) => {
      let rest = '';
      const add = (line: string) => {
        lines.push(line);
        if (lines.length > KEPT_LINES) lines.shift();
        options.onLine?.(line);
      };
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        log?.write(text);
        if (keep) stdout += text;
        const parts = (rest + text).split(/\r\n|\r|\n/);
        rest = parts.pop() ?? '';
        parts.forEach(add);
      });
      stream.on('end', () => rest && add(rest));
    };
    collect(child.stdout, true);
    collect(child.stderr, false);

    child.on('error', (error) => {
      missing = true;
      lines.push(error.message);
    });
    child.on('close', (status, signal) => {
      if (timer) clearTimeout(timer);
      for (const name of SIGNALS) process.off(name, onSignal);
      const result: RunResult = { missing, stdout, lines };
      if (status !== null && !missing) result.status = status;
      if (signal) result.signal = signal;
      const settle = () => (log ? log.end(() => resolve(result)) : resolve(result));
      if (!received) return settle();
      // The timer keeps this process alive until the signal is delivered; it only runs out if others handle it.
      setTimeout(settle, DELIVERY_MS);
      process.kill(process.pid, received);
    });
  });
}

/** How a command ended, in words: for messages. */
export function ending(result: RunResult): string {
  if (result.missing) return 'could not be started';
  if (result.signal) return `was ended by ${result.signal}`;
  return `ended with status ${result.status}`;
}

/** Full path of the first of `names` that PATH offers. */
export function onPath(env: NodeJS.ProcessEnv, ...names: string[]): string | undefined {
  for (const name of names) {
    for (const folder of (env.PATH ?? '').split(path.delimiter)) {
      const file = path.join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        if (folder && statSync(file).isFile()) return file;
      } catch {
        // Not here.
      }
    }
  }
  return undefined;
}
