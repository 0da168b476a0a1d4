/** The cases: every file in bench/cases, under its name. */
import { readdir } from 'node:fs/promises';
import type { BenchCase } from './case.js';

const FOLDER = new URL('./cases/', import.meta.url);

export async function caseNames(): Promise<string[]> {
  const files = await readdir(FOLDER);
  return files.flatMap((file) => /^([\w-]+)\.[jt]s$/.exec(file)?.[1] ?? []).sort();
}

export async function loadCase(name: string): Promise<BenchCase> {
  const module = (await import(new URL(`${name}.js`, FOLDER).href)) as { default: BenchCase };
  return module.default;
}
