// Running child processes for the scripts of this folder.
import { spawn } from 'node:child_process';
import os from 'node:os';

/** A terminal's Ctrl-C arrives once from the terminal and once more through npm; these are one. */
const SAME_SIGNAL_MS = 1000;

/**
 * Runs a command and resolves to its exit status: 128 and the signal's number if a signal ended it. The child
 * leads a process group of its own, and a signal sent here is passed on to it once, so that training can finish
 * its step and save. A second Ctrl-C later on is passed on as well. The output is this process's own unless
 * `quiet`: then it is kept, and printed only if the command fails.
 */
export function run(command, args, { quiet = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const output = quiet ? 'pipe' : 'inherit';
    const child = spawn(command, args, {
      stdio: ['ignore', output, output],
      detached: true,
      ...options,
    });
    const kept = [];
    child.stdout?.on('data', (data) => kept.push(data));
    child.stderr?.on('data', (data) => kept.push(data));

    let last = -Infinity;
    const pass = (signal) => {
      if (performance.now() - last < SAME_SIGNAL_MS) return;
      last = performance.now();
      try {
        process.kill(-child.pid, signal);
      } catch {
        // It has just ended.
      }
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, pass);
    const settle = () => {
      for (const signal of signals) process.off(signal, pass);
    };
    child.on('error', (error) => {
      settle();
      reject(new Failure(`${command} could not be started: ${error.message}`));
    });
    child.on('close', (status, signal) => {
      settle();
      if (status !== 0) process.stderr.write(Buffer.concat(kept));
      resolve(status ?? 128 + (os.constants.signals[signal] ?? 0));
    });
  });
}

/** An error whose message is all there is to say: no stack is printed. */
export class Failure extends Error {
  constructor(message, status = 1) {
    super(message);
    this.status = status;
  }
}

/** Runs a script's `main`, which resolves to an exit status, and ends the process with it. */
export async function runMain(main) {
  try {
    process.exit(await main());
  } catch (error) {
    // The errors of san-native carry a code and say it all in their message, just like a Failure.
    const code = /^ERR_SAN_/.test(error?.code) ? ` ${error.code}` : '';
    console.error(code || error instanceof Failure ? `error${code}: ${error.message}` : error);
    process.exit(error?.status ?? 1);
  }
}
