import { appendFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { OutputError } from '../errors.js';
import { ensureFolder, fileErrorReason, writeFileAtomic } from '../files.js';

/** Names inside a run folder. */
const NAMES = {
  config: 'config.json',
  metrics: 'metrics.jsonl',
  skipped: 'skipped.jsonl',
  lossCurve: 'losses.svg',
  samples: 'samples',
  checkpoints: 'checkpoints',
} as const;

/** Where a run keeps its files. */
export class RunFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * The folder of a new run; nothing is written before begin(). Throws OutputError when the path cannot be a folder
   * or a run is in it already.
   */
  static async claim(path: string): Promise<RunFolder> {
    const fail = (reason: string) => new OutputError(`${path} ${reason}`, { path, field: 'out' });
    const kind = await kindOf(path);
    if (kind === 'unusable') throw fail('cannot be used as a run folder; choose another');
    if (kind === 'file') throw fail('is a file; a run needs a folder');
    const folder = new RunFolder(path);
    for (const name of [NAMES.config, NAMES.metrics, NAMES.checkpoints]) {
      if ((await kindOf(folder.file(name))) !== 'nothing') {
        throw fail('already holds a training run; choose another folder or remove it');
      }
    }
    return folder;
  }

  get lossCurve(): string {
    return this.file(NAMES.lossCurve);
  }

  /** Starts the run's files: the frozen config and the list of files that were passed over, if any. */
  async begin(config: Config, skipped: readonly unknown[]): Promise<void> {
    await ensureFolder(this.file(NAMES.samples));
    await ensureFolder(this.file(NAMES.checkpoints));
    await writeFileAtomic(this.file(NAMES.config), [`${JSON.stringify(config, null, 2)}\n`]);
    if (skipped.length > 0) {
      const lines = skipped.map((entry) => `${JSON.stringify(entry)}\n`);
      await writeFileAtomic(this.file(NAMES.skipped), [lines.join('')]);
    }
  }

  async appendMetrics(lines: readonly object[]): Promise<void> {
    if (lines.length === 0) return;
    const path = this.file(NAMES.metrics);
    try {
      await appendFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    } catch (error) {
      throw new OutputError(`cannot write ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
    }
  }

  /** Path of a picture in samples/. */
  sample(name: string | number): string {
    return join(this.path, NAMES.samples, `${typeof name === 'number' ? padded(name) : name}.png`);
  }

  checkpoint(step: number): string {
    return join(this.path, NAMES.checkpoints, `step-${padded(step)}.safetensors`);
  }

  private file(name: string): string {
    return join(this.path, name);
  }
}

const padded = (step: number): string => String(step).padStart(6, '0');

async function kindOf(path: string): Promise<'nothing' | 'file' | 'folder' | 'unusable'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'nothing' : 'unusable';
  }
}
