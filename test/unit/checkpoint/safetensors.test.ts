import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors, readSafetensors } from '../../../lib/checkpoint/safetensors.js';
import { CheckpointError } from '../../../lib/errors.js';
import { writeFileAtomic } from '../../../lib/files.js';
import type { NativeTensor } from '../../../lib/native.js';
import { temporaryFolder } from '../support/temporary.js';
import { FORMAT, failure, tensor, written } from './safetensors-files.js';

const names = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', '7', '', 'a"b\\c\n', '名前', 'kernel.m0.b1'),
);
const anyTensor = fc
  .record({
    name: names.filter((name) => name !== '__metadata__'),
    double: fc.boolean(),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
    seed: fc.nat(255),
  })
  .map(({ name, double, shape, seed }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Array.from({ length: count }, (_, i) => (i + 1) / (seed + 1));
    return tensor(name, shape, double ? Float64Array.from(values) : Float32Array.from(values));
  });
const anyTensors = fc.uniqueArray(anyTensor, { selector: ({ name }) => name, maxLength: 8 });

describe('a safetensors file', () => {
  it('comes back as it was written, wide elements first, then by name', async () => {
    const path = join(await temporaryFolder(), 'a');
    await fc.assert(
      fc.asyncProperty(anyTensors, fc.dictionary(names, names), async (tensors, metadata) => {
        await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
        const file = await readSafetensors(path);
        expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(metadata).sort());
        const sorted = [...tensors].sort(
          (a, b) => (a.dtype === b.dtype ? 0 : a.dtype === 'float64' ? -1 : 1) || (a.name < b.name ? -1 : 1),
        );
        // Tensors without bytes may change places with their neighbours.
        const kept = (list: NativeTensor[]) => list.filter(({ data }) => data.length > 0);
        expect(kept(file.tensors)).toEqual(kept(sorted));
        expect(new Map(file.tensors.map((entry) => [entry.name, entry]))).toEqual(
          new Map(tensors.map((entry) => [entry.name, entry])),
        );
      }),
      { numRuns: 150 },
    );
  });

  it('gives data that can be viewed as numbers', async () => {
    const values = Float32Array.of(1.5, -2, Number.NaN, Number.POSITIVE_INFINITY, 3e-40);
    const chunks = encodeSafetensors([
      tensor('a', [5], values),
      tensor('b', [], Float64Array.of(Math.PI)),
      tensor('c', [0, 3], new Float32Array(0)),
    ]);
    const { tensors } = await readSafetensors(await written(Buffer.concat(chunks)));
    const [b, a, c] = tensors;
    expect(tensors.map(({ name }) => name)).toEqual(['b', 'a', 'c']);
    expect(b).toMatchObject({ dtype: 'float64', shape: [] });
    expect([...new Float64Array(b?.data.buffer as ArrayBuffer)]).toEqual([Math.PI]);
    expect(c).toMatchObject({ shape: [0, 3], data: new Uint8Array(0) });
    expect(a?.data.byteOffset).toBe(0);
    expect(new Float32Array(a?.data.buffer as ArrayBuffer)).toEqual(values);
  });

  it('has the same bytes for the same tensors in any order', () => {
    const tensors = [tensor('b', [1], Float32Array.of(1)), tensor('a', [1], Float32Array.of(2))];
    const encoded = Buffer.concat(encodeSafetensors(tensors, { k: 'v' }));
    expect(Buffer.concat(encodeSafetensors([...tensors].reverse(), { k: 'v' }))).toEqual(encoded);
    const length = Number(encoded.readBigUInt64LE());
    expect(length % 8).toBe(0);
    expect(
      encoded
        .subarray(8, 8 + length)
        .toString()
        .trimEnd(),
    ).toBe(
      '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
        '"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    );
  });

  it('is not written when no reader would take it', () => {
    const one = tensor('a', [1], Float32Array.of(1));
    const refused = (tensors: NativeTensor[], metadata?: Record<string, string>) =>
      expect(() => encodeSafetensors(tensors, metadata)).toThrow(CheckpointError);
    refused([one, one]);
    refused([{ ...one, name: '__metadata__' }]);
    refused([{ ...one, name: '\ud800' }]);
    refused([{ ...one, shape: [2] }]);
    refused([{ ...one, shape: [-1] }]);
    refused([one], { text: 'a\udc00' });
  });
});

describe('a file that is not there or not a file', () => {
  it('is told apart from a damaged one', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), 'x');
    for (const path of [join(folder, 'none'), join(folder, 'file', 'below')]) {
      expect((await failure(path)).code).toBe('ERR_SAN_CHECKPOINT_NOT_FOUND');
    }
  });

  it('is refused without waiting or reading', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'folder'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    await symlink(join(folder, 'circle'), join(folder, 'circle'));
    for (const path of [join(folder, 'folder'), join(folder, 'pipe'), join(folder, 'circle'), '/dev/zero']) {
      expect((await failure(path)).code).toBe(FORMAT);
    }
  });
});
