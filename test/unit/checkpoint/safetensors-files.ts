/** Safetensors files, whole and broken, for tests of their reader. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readSafetensors } from '../../../lib/checkpoint/safetensors.js';
import { CheckpointError } from '../../../lib/errors.js';
import type { NativeTensor } from '../../../lib/native.js';
import { temporaryFolder } from '../support/temporary.js';

export const FORMAT = 'ERR_SAN_CHECKPOINT_FORMAT';

export function tensor(name: string, shape: number[], values: Float32Array | Float64Array): NativeTensor {
  const dtype = values instanceof Float32Array ? 'float32' : 'float64';
  return { name, dtype, shape, data: new Uint8Array(values.buffer) };
}

export async function written(content: Uint8Array | string): Promise<string> {
  const path = join(await temporaryFolder(), 'a.safetensors');
  await writeFile(path, content);
  return path;
}

/** A file with the given header as text and so many bytes of data. */
export function fileOf(header: string | Uint8Array, dataBytes = 0, length?: bigint): Buffer {
  const text = Buffer.from(header as string);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([start, text, Buffer.alloc(dataBytes, 1)]);
}

export async function failure(path: string): Promise<CheckpointError> {
  const caught = await readSafetensors(path).catch((error) => error);
  expect(caught).toBeInstanceOf(CheckpointError);
  expect(caught.message).toContain(path);
  expect(caught.message).not.toMatch(/\n|undefined|\[object/);
  expect(caught.details.path).toBe(path);
  return caught;
}

export async function reasonFor(content: Uint8Array): Promise<string> {
  const path = await written(content);
  const { code, message } = await failure(path);
  expect(code).toBe(FORMAT);
  return message.replace(`${path} is not a usable checkpoint: `, '');
}
