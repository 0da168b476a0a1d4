/** The runs of a grid: each in a folder of its own, each able to go on where it was broken off. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resolveImageFormat } from '../lib/config/resolve.js';
import { openData, spreadRows } from '../lib/data/dataset.js';
import { OutputError } from '../lib/errors.js';
import { ensureFolder, writeFileAtomic } from '../lib/files.js';
import { San } from '../lib/generation/san.js';
import { inspectCheckpoint } from '../lib/inspect/inspect.js';
import { imagesFrom, inBlocks } from '../lib/metrics/blocks.js';
import { FIRST_INDEX } from '../lib/metrics/generated.js';
import type { Device, ImageBatch } from '../lib/native.js';
import { train } from '../lib/training/train.js';
import { configOf, formatOf, type Grid, pointsOf, type Run } from './grid.js';
import type { Measure, Values } from './measure.js';
import { runPython } from './python.js';
import type { PreparedImages } from './sets.js';

/** One measuring point of a run. */
export interface Point {
  /** Training images seen. */
  images: number;
  /** Seconds of training, without measuring. */
  seconds: number;
  values: Values;
}

export interface RunResult {
  run: Run;
  /** Of both networks together. */
  parameters: number;
  points: Point[];
  /** The first pictures at the last point. */
  sample: ImageBatch;
}

export interface RunContext {
  grid: Grid;
  set: PreparedImages;
  measure: Measure;
  /** Folder of all runs. */
  folder: string;
  threads: number;
  /** Where SAN and peers are trained and draw. */
  device: Device;
  python: string | undefined;
  /** Parameters that peers are sized to: those of the grid's own SAN. */
  parameters: number;
  signal: AbortSignal;
  show: (text: string) => void;
}

/** What is drawn for the sheets of pictures. */
const SHEET = 64;

export const folderOf = (folder: string, { contender, seed }: Run): string =>
  join(folder, `${contender}-seed-${seed}`);

/**
 * Trains and measures one run, or takes its result from its folder. Throws OutputError when the folder holds a run of
 * other settings.
 */
export async function runOne(run: Run, context: RunContext): Promise<RunResult> {
  const folder = folderOf(context.folder, run);
  await ensureFolder(folder);
  const asked = join(folder, 'run.json');
  const { grid, set, threads, parameters, device } = context;
  const { set: name, points, samples } = grid;
  const identity = JSON.stringify({
    run,
    set: name,
    hash: set.hash,
    points,
    samples,
    threads,
    parameters,
    ...(device === 'cpu' ? {} : { device }),
  });
  const before = existsSync(asked) ? (await readFile(asked, 'utf8')).trim() : undefined;
  if (before !== undefined && before !== identity)
    throw new OutputError(`${folder} holds a run of other settings; name another --out or remove it`, {
      path: folder,
    });
  if (before === undefined) await writeFileAtomic(asked, [`${identity}\n`]);
  return run.peer === undefined ? runSan(run, folder, context) : runPeer(run, folder, context);
}

async function runSan(run: Run, folder: string, context: RunContext): Promise<RunResult> {
  const { grid, set, threads, device, signal, show } = context;
  const { batchSize, steps, checkpointEvery, sampleEvery, keepLast, logEvery } = configOf(grid, run);
  const out = join(folder, 'run');
  const options = {
    ...run.settings,
    ...formatOf(grid.set),
    seed: run.seed,
    steps,
    checkpointEvery,
    sampleEvery,
    keepLast,
    logEvery,
    threads,
    device,
  };
  for await (const tick of train({ ...options, data: set.path, out, resume: true }, { signal })) {
    if (tick.type === 'steps')
      show(
        `${run.contender}, seed ${run.seed}: step ${tick.step}/${tick.steps}, ${Math.ceil(tick.secondsLeft)} s left`,
      );
  }
  signal.throwIfAborted();
  const points: Point[] = [];
  let sample: ImageBatch | undefined;
  let parameters = 0;
  for (let step = checkpointEvery; step <= steps; step += checkpointEvery) {
    const checkpoint = join(out, 'checkpoints', `step-${String(step).padStart(6, '0')}.safetensors`);
    const inspection = await inspectCheckpoint(checkpoint);
    const file = join(folder, `values-${step}.json`);
    const last = step === steps;
    const stored = await readValues(file);
    if (stored === undefined || last) {
      await using san = await San.load(checkpoint, { threads, device });
      if (last) {
        sample = await san.generate({ count: SHEET, seed: run.seed });
        parameters = inspection.parameters.total.total;
      }
      if (stored === undefined) await writeValues(file, await measureSan(san, run, context));
    }
    const values = stored ?? ((await readValues(file)) as Values);
    points.push({ images: step * batchSize, seconds: inspection.seconds, values });
  }
  return { run, parameters, points, sample: sample as ImageBatch };
}

async function measureSan(
  san: San,
  { seed }: Run,
  { grid, set, measure, signal }: RunContext,
): Promise<Values> {
  const fake = await san.generate({ count: grid.samples, seed, startIndex: FIRST_INDEX, signal });
  const again = new Uint8Array(set.real.data.length);
  let offset = 0;
  await inBlocks('reconstructing', set.real.shape, { signal }, async (start, count) => {
    const { data } = await san.decode(await san.reverse(imagesFrom(set.real, start, count)));
    again.set(data, offset);
    offset += data.length;
  });
  return measure.values(fake, { data: again, shape: set.real.shape });
}

/** A line of a peer's progress.jsonl. */
interface PeerLine {
  parameters: number;
  images: number;
  seconds: number;
  samples: string;
  reconstructions?: string;
}

async function runPeer(run: Run, folder: string, context: RunContext): Promise<RunResult> {
  const { grid, set, measure, threads, device, python, signal, show, parameters } = context;
  const args = {
    '--peer': run.peer as string,
    '--data': set.path,
    '--out': folder,
    '--parameters': String(parameters),
    '--images': String(run.images),
    '--points': String(grid.points),
    '--samples': String(grid.samples),
    '--real': set.realPath,
    '--seed': String(run.seed),
    '--threads': String(threads),
    '--device': device,
    ...(run.batch === undefined ? {} : { '--batch': String(run.batch) }),
  };
  const lines = async () => {
    const text = await readFile(join(folder, 'progress.jsonl'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as PeerLine);
  };
  if ((await lines()).length < grid.points) {
    show(`${run.contender}, seed ${run.seed}: training in Python`);
    const flags = run.average === true ? ['--average'] : [];
    await runPython(python, 'train.py', [...Object.entries(args).flat(), ...flags], {
      signal,
      onLine: (line) => show(`${run.contender}, seed ${run.seed}: ${line.slice(0, 80)}`),
    });
  }
  const points: Point[] = [];
  const reached = await lines();
  for (const [i, line] of reached.entries()) {
    const file = join(folder, `values-${pointsOf(grid, run)[i]}.json`);
    const stored = await readValues(file);
    const read = (name: string) => readImages(join(folder, name), grid);
    const values =
      stored ??
      (await measure.values(
        await read(line.samples),
        line.reconstructions === undefined ? undefined : await read(line.reconstructions),
      ));
    if (stored === undefined) await writeValues(file, values);
    points.push({ images: line.images, seconds: line.seconds, values });
  }
  const last = reached.at(-1) as PeerLine;
  const sample = imagesFrom(
    await readImages(join(folder, last.samples), grid),
    0,
    Math.min(SHEET, grid.samples),
  );
  return { run, parameters: last.parameters, points, sample };
}

async function readImages(path: string, { set }: Grid): Promise<ImageBatch> {
  const images = await openData(path, resolveImageFormat(formatOf(set)));
  return spreadRows(images, Number.POSITIVE_INFINITY);
}

const readValues = async (path: string): Promise<Values | undefined> =>
  existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as Values) : undefined;

const writeValues = (path: string, values: Values): Promise<void> =>
  writeFileAtomic(path, [`${JSON.stringify(values)}\n`]);
