/** What a benchmark case is: a file in bench/cases that exports one as its default. */
import { join } from 'node:path';
import { type Device, packageRoot } from '../lib/native.js';

/** What a contender tells of itself once it is ready, such as its versions and the numbers it computed. */
export type Facts = Record<string, unknown>;

/** One of those that do the same work: a process of its own that stays for all rounds. */
export interface Contender {
  name: string;
  /** Ours: the ratios are this one's. One of each comparison. */
  ours?: true;
  /** Not one of the others among which the best is looked for, such as ours with other settings. */
  rival?: false;
  command: 'node' | 'python';
  /** Absolute path: a module that exports `open` (bench/contenders) or a script of bench/peers. */
  program: string;
  /** Handed over before the first round. JSON. */
  options: Record<string, unknown>;
}

/** One contender does other work than we do: it is shown as failing, and the others go on. */
export class Disagreement extends Error {
  constructor(
    readonly contender: string,
    message: string,
  ) {
    super(message);
  }
}

/** Contenders that are measured against one another. */
export interface Comparison {
  /** What is done, such as "32 px, quickstart, batch 16". */
  label: string;
  /** What is counted, such as "images". */
  unit: string;
  /** What is shown: `rate` in units per second, or `time` in seconds per unit. */
  measure: 'rate' | 'time';
  /** Units of a round, where that is not to be as many as fit the time. */
  items?: number;
  contenders: Contender[];
  /** Before each contender's round, outside of its time: what the one before has left to do is not to be this one's. */
  settle?: () => Promise<void>;
  /** Whether the contenders do the same work, told from their facts; lines for the reader. Throws Disagreement. */
  agreement?: (facts: ReadonlyMap<string, Facts>) => string[];
}

/** Measurements that are no comparison of contenders. */
export interface Table {
  label: string;
  /** Heads of the columns; the first is that of the names. */
  head: string[];
  rows: string[][];
  /** For the reader, under the table. */
  lines: string[];
  /** The same in numbers, for programs. */
  data: Record<string, unknown>;
}

export interface CaseContext {
  /** Where contenders compute. */
  device: Device;
  /** Image sizes in pixels that were asked for; those of the case otherwise. */
  sizes: readonly number[];
  /** CPU threads of every contender. */
  threads: number;
  /** Shows that everything works rather than how fast it is: the smallest work. */
  quick: boolean;
  /** An empty folder that is removed afterwards. */
  folder: string;
}

export interface BenchCase {
  /** In one line. */
  description: string;
  /** Image sizes in pixels; empty when the case has none. */
  sizes: readonly number[];
  /** Comparisons, each made when the one before is over, and tables, which are measured when they are asked for. */
  comparisons(context: CaseContext): AsyncIterable<Comparison | Table>;
}

/** A file of this folder as the compiler leaves it, for a process of its own. */
export const compiled = (...parts: string[]): string => join(packageRoot(), 'dist', 'bench', ...parts);

/** A module of bench/contenders in a Node process. */
export const nodeContender = (name: string, module: string, options: Record<string, unknown>): Contender => ({
  name,
  command: 'node',
  program: compiled('contenders', `${module}.js`),
  options,
});

/** Where torch.compile of one run keeps what it made: a compiler that was killed leaves cut files in the usual place. */
export const compilerCache = (folder: string): string => join(folder, 'inductor');

/** A script of bench/peers. */
export const pythonContender = (
  name: string,
  script: string,
  options: Record<string, unknown>,
): Contender => ({
  name,
  command: 'python',
  program: join(packageRoot(), 'bench', 'peers', script),
  options,
});
