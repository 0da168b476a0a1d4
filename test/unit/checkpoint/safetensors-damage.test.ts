import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors, readSafetensors } from '../../../lib/checkpoint/safetensors.js';
import { temporaryFolder } from '../support/temporary.js';
import { FORMAT, failure, fileOf, tensor } from './safetensors-files.js';

describe('a damaged file', () => {
  const whole = Buffer.concat(
    encodeSafetensors(
      [
        tensor('kernel.m0', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)),
        tensor('bias', [3], Float64Array.of(1, 2, 3)),
        tensor('none', [0], new Float32Array(0)),
      ],
      { step: '12', config: '{"a":"é"}' },
    ),
  );
  const dataStart = 8 + Number(whole.readBigUInt64LE());

  it('is refused wherever it was cut', async () => {
    const path = join(await temporaryFolder(), 'a');
    for (let length = 0; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length));
      expect((await failure(path)).code).toBe(FORMAT);
    }
  });

  it('is refused or read, never worse, whichever bits are flipped', async () => {
    const path = join(await temporaryFolder(), 'a');
    const flips = fc.array(fc.record({ at: fc.nat(whole.length - 1), bit: fc.nat(7) }), {
      minLength: 1,
      maxLength: 3,
    });
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const damaged = Buffer.from(whole);
        for (const { at, bit } of changes) damaged[at] = (damaged[at] as number) ^ (1 << bit);
        await writeFile(path, damaged);
        try {
          const { tensors } = await readSafetensors(path);
          const bytes = tensors.reduce((sum, { data }) => sum + data.length, 0);
          expect(bytes).toBe(damaged.length - 8 - Number(damaged.readBigUInt64LE()));
        } catch (error) {
          expect(error).toMatchObject({ code: FORMAT, message: expect.not.stringContaining('\n') });
          refused++;
        }
      }),
      { numRuns: 1500 },
    );
    expect(refused).toBeGreaterThan(300);
  });

  it('is refused or read, never worse, whatever the header is', async () => {
    const path = join(await temporaryFolder(), 'a');
    const parts = [
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\\',
      '0',
      '8',
      '-',
      ' ',
      '"a"',
      '"dtype":"F32"',
      '"shape":[2]',
      '"data_offsets":[0,8]',
      '"__metadata__"',
      '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}',
      'null',
      'é',
      '\0',
    ];
    const headers = fc
      .array(fc.constantFrom(...parts), { maxLength: 12 })
      .map((list) => `{${list.join('')}}`);
    await fc.assert(
      fc.asyncProperty(headers, async (header) => {
        await writeFile(path, fileOf(header, 8));
        const outcome = await readSafetensors(path).catch((error) => error);
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: FORMAT });
        // What is accepted here is JSON to any other reader.
        else expect(JSON.parse(header)).toBeTypeOf('object');
      }),
      { numRuns: 1500 },
    );
  });

  it('is refused when it becomes shorter while it is read', async () => {
    const size = 2 ** 26;
    const path = join(await temporaryFolder(), 'a');
    const header = `{"a":{"dtype":"F32","shape":[${size / 4}],"data_offsets":[0,${size}]}}`;
    await writeFile(path, fileOf(header));
    const handle = await open(path, 'r+');
    await handle.truncate(8 + header.length + size);
    const reading = failure(path);
    // A few turns of the loop in which the reader has seen the size.
    for (let i = 0; i < 3; i++) await handle.stat();
    await handle.truncate(dataStart);
    await handle.close();
    expect((await reading).message).toMatch(/shorter|cut short|only|should have/);
  });
});
