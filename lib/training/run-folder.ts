import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { OutputError } from '../errors.js';
import { ensureFolder, removeTemporary, writeFileAtomic } from '../files.js';

/** Names inside a run folder. */
const NAMES = {
  config: 'config.json',
  metrics: 'metrics.jsonl',
  best: 'best.json',
  skipped: 'skipped.jsonl',
  lossCurve: 'losses.svg',
  metricCurves: 'metrics.svg',
  environment: 'environment.json',
  report: 'report.html',
  tensorboard: 'tensorboard',
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
    if (await folder.holdsAny([NAMES.config, NAMES.metrics, NAMES.checkpoints])) {
      throw fail(
        'already holds a training run; add --resume (in the API resume: true) to continue it, or choose another folder',
      );
    }
    return folder;
  }

  /** The folder of a run that was begun before; undefined when there is none. Throws OutputError. */
  static async find(path: string): Promise<RunFolder | undefined> {
    const folder = new RunFolder(path);
    const config = await kindOf(folder.config);
    if (config === 'file') return folder;
    if (config === 'nothing' && (await folder.holdsAny([NAMES.metrics, NAMES.checkpoints]))) {
      throw new OutputError(
        `${path} holds a training run without its ${NAMES.config}, which resuming takes the settings from; restore that file, or begin a new run in another folder with --init-from ${path} (in the API initFrom)`,
        { path: folder.config, field: 'out' },
      );
    }
    // Checks that a run can be begun there.
    await RunFolder.claim(path);
    return undefined;
  }

  get config(): string {
    return this.file(NAMES.config);
  }

  get metrics(): string {
    return this.file(NAMES.metrics);
  }

  /** Which checkpoint is the best by `keepBest`. */
  get best(): string {
    return this.file(NAMES.best);
  }

  get checkpoints(): string {
    return this.file(NAMES.checkpoints);
  }

  get lossCurve(): string {
    return this.file(NAMES.lossCurve);
  }

  get metricCurves(): string {
    return this.file(NAMES.metricCurves);
  }

  get environment(): string {
    return this.file(NAMES.environment);
  }

  get report(): string {
    return this.file(NAMES.report);
  }

  /** Folder of event files. */
  get tensorboard(): string {
    return this.file(NAMES.tensorboard);
  }

  get samples(): string {
    return this.file(NAMES.samples);
  }

  /** Starts the run's files: the frozen config and the list of files that were passed over, if any. */
  async begin(config: Config, skipped: readonly unknown[]): Promise<void> {
    await ensureFolder(this.path);
    // First: a folder with a config can be resumed.
    await writeFileAtomic(this.config, [`${JSON.stringify(config, null, 2)}\n`]);
    await ensureFolder(this.samples);
    await ensureFolder(this.checkpoints);
    if (skipped.length > 0) {
      const lines = skipped.map((entry) => `${JSON.stringify(entry)}\n`);
      await writeFileAtomic(this.file(NAMES.skipped), [lines.join('')]);
    }
  }

  /** Removes what writes that were cut off have left behind. Nobody else may be writing. */
  async sweep(): Promise<void> {
    for (const folder of [this.path, this.samples, this.tensorboard, this.checkpoints])
      await removeTemporary(folder);
  }

  /** Path of a picture in samples/: by its name, or a step's grid, or a step's other picture of some kind. */
  sample(name: string | number, step?: number): string {
    const parts = [name, ...(step === undefined ? [] : [step])];
    return join(
      this.samples,
      `${parts.map((part) => (typeof part === 'number' ? padded(part) : part)).join('-')}.png`,
    );
  }

  checkpoint(step: number): string {
    return join(this.checkpoints, `step-${padded(step)}.safetensors`);
  }

  private async holdsAny(names: readonly string[]): Promise<boolean> {
    for (const name of names) if ((await kindOf(this.file(name))) !== 'nothing') return true;
    return false;
  }

  private file(name: string): string {
    return join(this.path, name);
  }
}

const padded = (step: number): string => String(step).padStart(6, '0');

/** Step of a sample grid by its file's name; undefined for other files. */
export function stepOfSample(name: string): number | undefined {
  const step = /^(\d+)\.png$/.exec(name)?.[1];
  return step === undefined ? undefined : Number(step);
}

/** Step of a checkpoint by its file's name; undefined for other files. */
export function stepOfCheckpoint(name: string): number | undefined {
  const step = /^step-(\d+)\.safetensors$/.exec(name)?.[1];
  return step === undefined ? undefined : Number(step);
}

async function kindOf(path: string): Promise<'nothing' | 'file' | 'folder' | 'unusable'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'nothing' : 'unusable';
  }
}
