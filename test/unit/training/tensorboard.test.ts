import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { EventWriter } from '../../../lib/training/tensorboard/event-writer.js';
import { scalarsOf } from '../../../lib/training/tensorboard/tags.js';
import { findPython } from '../../native/python.js';
import { temporaryFolder } from '../support/temporary.js';

/** CRC-32C bit by bit, masked as TFRecord wants: an independent implementation. */
function maskedChecksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The records of a file, which must be whole. */
function records(file: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8)).toBe(maskedChecksum(file.subarray(at, at + 8)));
    const bytes = file.subarray(at + 12, at + 12 + length);
    expect(bytes).toHaveLength(length);
    expect(file.readUInt32LE(at + 12 + length)).toBe(maskedChecksum(bytes));
    found.push(bytes);
    at += 16 + length;
  }
  return found;
}

type Fields = Map<number, (bigint | Buffer)[]>;

/** A protobuf message, field by field. */
function message(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] as number;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const type = key & 7;
    let value: bigint | Buffer;
    if (type === 0) value = varint();
    else {
      const length = type === 1 ? 8 : type === 5 ? 4 : Number(varint());
      value = bytes.subarray(at, at + length);
      at += length;
    }
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

interface Decoded {
  step: number;
  version?: string;
  start?: boolean;
  values: Record<string, number | Buffer>;
}

function event(bytes: Buffer): Decoded {
  const fields = message(bytes);
  const part = (from: Fields, id: number) => from.get(id)?.[0] as Buffer | undefined;
  expect((part(fields, 1) as Buffer).readDoubleLE()).toBeGreaterThan(1.7e9);
  const summary = part(fields, 5);
  const values = ((summary && message(summary).get(1)) ?? []).map((value) => {
    const inner = message(value as Buffer);
    const image = part(inner, 4);
    const number = part(inner, 2)?.readFloatLE() ?? 0;
    return [String(part(inner, 1)), image ? (part(message(image), 4) as Buffer) : number] as const;
  });
  const version = part(fields, 3);
  return {
    step: Number(fields.get(2)?.[0] ?? 0n),
    ...(version && { version: String(version) }),
    ...(fields.has(7) && { start: true }),
    values: Object.fromEntries(values),
  };
}

const read = async (path: string) => records(await readFile(path)).map(event);

async function all(folder: string): Promise<Decoded[]> {
  const names = (await readdir(folder)).sort();
  return (await Promise.all(names.map((name) => read(join(folder, name))))).flat();
}

const png = (width = 3, height = 2) =>
  sharp({ create: { width, height, channels: 3, background: '#369' } })
    .png()
    .toBuffer();

/** A folder with an event file of the given steps. */
async function written(steps: readonly number[], folder?: string, keepUpTo = 0) {
  const path = folder ?? join(await temporaryFolder(), 'tensorboard');
  const writer = await EventWriter.open(path, { keepUpTo });
  for (const step of steps) writer.scalars(step, { 'losses/lgd': step });
  await writer.close();
  return { folder: path, path: writer.path };
}

describe('EventWriter', () => {
  it('writes the version, then scalars and pictures', async () => {
    const folder = join(await temporaryFolder(), 'run/tensorboard');
    const writer = await EventWriter.open(folder, { keepUpTo: 0 });
    writer.scalars(10, { 'losses/lgd': 0.5, 'losses/lgi': -2 });
    await writer.flush();
    writer.scalars(2 ** 40, { 'metrics/swd': 3 });
    writer.scalars(11, {});
    const picture = await png();
    writer.image(20, 'images/samples', picture, 3, 2);
    await writer.close();
    expect(writer.path).toMatch(/tensorboard\/events\.out\.tfevents\.\d{10}\..*\.san-native\./);
    expect(await read(writer.path)).toEqual([
      { step: 0, version: 'brain.Event:2', values: {} },
      { step: 10, values: { 'losses/lgd': 0.5, 'losses/lgi': -2 } },
      { step: 2 ** 40, values: { 'metrics/swd': 3 } },
      { step: 20, values: { 'images/samples': picture } },
    ]);
  });

  it('leaves no file when there was nothing to tell', async () => {
    const { folder } = await written([]);
    expect(await readdir(folder)).toEqual([]);
  });

  it('forgets later steps when a run is continued, and tells readers so', async () => {
    const { folder } = await written([10, 20, 30]);
    await written([31, 32], folder, 30);
    expect(await readdir(folder)).toHaveLength(2);
    const writer = await EventWriter.open(folder, { keepUpTo: 20 });
    writer.scalars(30, { again: 1 });
    await writer.close();
    expect((await all(folder)).map(({ step, start }) => (start ? `start ${step}` : step))).toEqual([
      0,
      10,
      20,
      0,
      'start 21',
      30,
    ]);
  });

  it('does not touch a file that stays, nor files of others', async () => {
    const { folder, path } = await written([10, 20]);
    await writeFile(join(folder, 'notes.txt'), 'mine');
    const { ino, mtimeMs } = await stat(path);
    await EventWriter.open(folder, { keepUpTo: 20 });
    expect(await stat(path)).toMatchObject({ ino, mtimeMs });
    expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
  });

  it('cuts off what a kill has torn, wherever', async () => {
    const { path: whole, folder } = await written([1, 2, 3]);
    const file = await readFile(whole);
    const sizes = records(file).map(({ length }) => length + 16);
    const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((a, b) => a + b));
    for (let size = 0; size <= file.length; size++) {
      await writeFile(whole, file.subarray(0, size));
      await EventWriter.open(folder, { keepUpTo: 100 });
      const kept = ends.filter((end) => end <= size);
      const left = await readFile(whole).catch(() => Buffer.alloc(0));
      expect(left).toEqual(kept.length < 2 ? Buffer.alloc(0) : file.subarray(0, kept.at(-1)));
    }
  });

  it('keeps what comes before a damaged byte', async () => {
    const { path, folder } = await written([1, 2, 3]);
    const file = await readFile(path);
    file[file.length - 6] = (file[file.length - 6] as number) ^ 1;
    await writeFile(path, file);
    await EventWriter.open(folder, { keepUpTo: 100 });
    expect((await read(path)).map(({ step }) => step)).toEqual([0, 1, 2]);
  });

  it('keeps exactly the steps up to the one that a run goes on from', async () => {
    const step = fc.nat(50);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), step, fc.nat(30), async (steps, last, torn) => {
        const { folder, path } = await written(steps);
        if (steps.length > 0) await appendFile(path, Buffer.alloc(torn, 7));
        await EventWriter.open(folder, { keepUpTo: last });
        const left = (await all(folder)).filter(({ version }) => version === undefined);
        expect(left.map(({ step }) => step)).toEqual(steps.filter((step) => step <= last));
        await rm(folder, { recursive: true });
      }),
      { numRuns: 40 },
    );
  });

  it('writes later what it could not even make a file for', async () => {
    const folder = join(await temporaryFolder(), 'tensorboard');
    const writer = await EventWriter.open(folder, { keepUpTo: 0 });
    await rm(folder, { recursive: true });
    for (const step of [1, 2]) {
      writer.scalars(step, { a: step });
      await expect(writer.flush()).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    }
    await mkdir(folder);
    await writer.close();
    expect(records(await readFile(writer.path))).toHaveLength(3);
  });

  it('writes later what the disk had no room for', async () => {
    const folder = await temporaryFolder();
    const writer = await EventWriter.open(folder, { keepUpTo: 0 });
    writer.scalars(1, { a: 1 });
    await mkdir(writer.path);
    await expect(writer.flush()).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    writer.scalars(2, { a: 2 });
    await rm(writer.path, { recursive: true });
    await writeFile(writer.path, 'half of a record');
    await writer.flush();
    await truncate(writer.path, (await stat(writer.path)).size);
    await writer.flush();
    expect((await read(writer.path)).map(({ step }) => step)).toEqual([0, 1, 2]);
  });
});

describe('scalarsOf', () => {
  it('groups by what the numbers are, and leaves the others out', () => {
    const line = { step: 3, seconds: 2, lgd: 1, swd: 2, learningRate: 0.1, imagesPerSecond: 9, what: 'x' };
    expect(scalarsOf(line)).toEqual({
      'losses/lgd': 1,
      'metrics/swd': 2,
      'training/learning_rate': 0.1,
      'training/images_per_second': 9,
    });
  });
});

const python = findPython('tensorboard', "TensorBoard's own reader");

describe.skipIf(python === undefined)("TensorBoard's own reader", () => {
  it('reads scalars and pictures of a run that was continued', async () => {
    const { folder } = await written([10, 20, 30]);
    const writer = await EventWriter.open(folder, { keepUpTo: 20 });
    writer.scalars(30, { 'losses/lgd': 0.25, 'training/learning_rate': 1e-3 });
    writer.image(30, 'images/samples', await png(5, 4), 5, 4);
    await writer.close();
    const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
run = EventAccumulator(sys.argv[1]).Reload()
print(json.dumps({
    'scalars': {tag: [[e.step, e.value] for e in run.Scalars(tag)] for tag in run.Tags()['scalars']},
    'images': {tag: [[e.step, e.width, e.height, e.encoded_image_string[:4].hex()] for e in run.Images(tag)] for tag in run.Tags()['images']},
}))`;
    const output = execFileSync(python as string, ['-c', script, folder], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual({
      scalars: {
        'losses/lgd': [
          [10, 10],
          [20, 20],
          [30, 0.25],
        ],
        'training/learning_rate': [[30, expect.closeTo(1e-3)]],
      },
      images: { 'images/samples': [[30, 5, 4, '89504e47']] },
    });
  });
});
