/**
 * Hosts one contender in a Node process: node worker.js MODULE. A line of JSON on stdin asks, a line on file descriptor
 * 3 answers, so that anything may be printed meanwhile: bench/peers/worker.py is the same for Python.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import type { Facts } from './case.js';

/** What one round was. */
export interface Round {
  /** Wall-clock time. */
  seconds: number;
  /** Units done: at least as many as asked for. */
  items: number;
  /** Bytes, where the work is done elsewhere than in the contender's own memory: in other processes, or on a GPU. */
  peakMemory?: number;
  /** Further measurements by name; the report shows their medians. */
  notes?: Record<string, number>;
}

/** What the module of a contender gives for its options. */
export interface OpenContender {
  facts: Facts;
  round(items: number): Promise<Round>;
  close(): Promise<void>;
}

export type OpenModule = { open(options: Record<string, unknown>): Promise<OpenContender> };

export type Request = { open: Record<string, unknown> } | { round: number } | { close: true };
export type Answer = { ok: unknown } | { error: string };

const ANSWERS = 3;

async function serve(module: string): Promise<void> {
  const { open } = (await import(pathToFileURL(module).href)) as OpenModule;
  let contender: OpenContender | undefined;
  const handle = async (request: Request): Promise<unknown> => {
    if ('open' in request) {
      contender = await open(request.open);
      return contender.facts;
    }
    if ('round' in request) return contender?.round(request.round);
    await contender?.close();
    return null;
  };
  for await (const line of createInterface({ input: process.stdin })) {
    let answer: Answer;
    try {
      answer = { ok: await handle(JSON.parse(line) as Request) };
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    writeSync(ANSWERS, `${JSON.stringify(answer)}\n`);
  }
}

await serve(process.argv[2] ?? '');
