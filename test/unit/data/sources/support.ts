import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { pack } from 'tar-stream';
import { expect } from 'vitest';
import { ZipFile } from 'yazl';
import type { SourceEntry } from '../../../../lib/data/source.js';
import { openSource } from '../../../../lib/data/sources/open.js';
import { DataError } from '../../../../lib/errors.js';
import { temporaryFolder } from '../../support/temporary.js';

/** A small PNG; each colour has its own bytes. */
export async function png(colour: number, size = 4): Promise<Uint8Array> {
  const background = { r: colour & 255, g: (colour * 7) & 255, b: (colour * 31) & 255 };
  const image = sharp({ create: { width: size, height: size, channels: 3, background } });
  return Uint8Array.from(await image.png().toBuffer());
}

export interface ArchiveFile {
  name: string;
  content?: Uint8Array | string;
  type?: 'file' | 'link' | 'symlink' | 'directory' | 'fifo' | 'character-device';
  linkname?: string;
}

/** By tar-stream, which writes names of more than 100 bytes, or not in ASCII, as pax headers. */
export async function tarOf(files: readonly ArchiveFile[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, content = '', type = 'file', linkname } of files) {
    const header = { name, type, mtime: new Date(0), ...(linkname === undefined ? {} : { linkname }) };
    archive.entry(header, typeof content === 'string' ? content : Buffer.from(content));
  }
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** By yazl. */
export async function zipOf(
  files: readonly { name: string; content: Uint8Array | string; mode?: number; compress?: boolean }[],
): Promise<Buffer> {
  const archive = new ZipFile();
  const chunks: Buffer[] = [];
  const ended = new Promise((resolve) => archive.outputStream.on('end', resolve));
  archive.outputStream.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (const { name, content, mode = 0o100644, compress = true } of files) {
    archive.addBuffer(Buffer.from(content as Uint8Array), name, {
      mode,
      compress,
      mtime: new Date(2020, 1, 1),
    });
  }
  archive.end();
  await ended;
  return Buffer.concat(chunks);
}

/** By hand: version 1.0, as numpy writes it. */
export function npyOf(
  shape: readonly number[],
  data: Uint8Array,
  descr = "'|u1'",
  fortran = 'False',
): Buffer {
  const text = `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`;
  const padded = `${text.padEnd(64 * Math.ceil((text.length + 11) / 64) - 11)}\n`;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(padded.length);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\0', 'latin1'), length, Buffer.from(padded), data]);
}

export function idxOf(dimensions: readonly number[], data: ArrayLike<number>, type = 8): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.set([0, 0, type, dimensions.length]);
  dimensions.forEach((size, i) => {
    header.writeUInt32BE(size, 4 + 4 * i);
  });
  return Buffer.concat([header, Buffer.from(Uint8Array.from(data))]);
}

export async function written(content: Uint8Array, name = 'source'): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, content);
  return path;
}

export async function entriesOf(path: string, from?: number): Promise<SourceEntry[]> {
  const source = await openSource(path);
  const entries: SourceEntry[] = [];
  for await (const entry of source.entries({ from })) {
    // Not as a Buffer, which is equal to no Uint8Array.
    entries.push(entry.form === 'encoded' ? { ...entry, bytes: Uint8Array.from(entry.bytes) } : entry);
  }
  entries.forEach((entry, i) => {
    expect(entry.index).toBe((from ?? 0) + i);
  });
  return entries;
}

/** What an entry is, in one line: a name with its label, or a path with its reason. */
export function told(entry: SourceEntry): string {
  if (entry.form === 'skipped') return `${entry.path}: ${entry.reason}`;
  return entry.label === undefined ? entry.name : `${entry.name} = ${JSON.stringify(entry.label)}`;
}

/** Everything must have been read, or the failure is a DataError in one line that names the source. */
export async function outcomeOf(path: string): Promise<SourceEntry[] | DataError> {
  try {
    return await entriesOf(path);
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    const { message, details } = error as DataError;
    expect(message).toContain(path);
    expect(message).not.toMatch(/\n|undefined|NaN|\[object/);
    expect(details.path).toContain(path);
    return error as DataError;
  }
}

export async function failureOf(path: string): Promise<DataError> {
  const outcome = await outcomeOf(path);
  expect(outcome).toBeInstanceOf(DataError);
  return outcome as DataError;
}

/** Reading on from any of the entries, or every `step`-th, gives what reading from the beginning gave. */
export async function expectResumable(path: string, step = 1): Promise<void> {
  const all = (await entriesOf(path)).map(brief);
  for (let from = 0; from <= all.length; from += step) {
    expect((await entriesOf(path, from)).map(brief)).toEqual(all.slice(from));
  }
}

/** All of an entry, its bytes as a hash. */
function brief(entry: SourceEntry): string {
  const bytes = entry.form === 'encoded' ? entry.bytes : entry.form === 'pixels' ? entry.data : '';
  return JSON.stringify({ ...entry, bytes: '', data: createHash('sha256').update(bytes).digest('hex') });
}

/** Interpreter for tests against Python, or undefined, with the reason printed, when it has not all of `modules`. */
export function pythonWith(...modules: string[]): string | undefined {
  const python = process.env.SAN_NATIVE_TEST_PYTHON ?? 'python3';
  try {
    execFileSync(python, ['-c', modules.map((name) => `import ${name}`).join('\n') || 'pass'], {
      stdio: 'pipe',
    });
    return python;
  } catch {
    console.log(`skipped: ${python} with ${modules.join(', ')} is not here`);
    return undefined;
  }
}
