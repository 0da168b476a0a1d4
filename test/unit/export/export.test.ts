import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { exportOnnx } from '../../../lib/export/export.js';
import { writeCheckpoint } from '../support/checkpoint.js';
import { cli } from '../support/cli.js';
import { temporaryFolder } from '../support/temporary.js';

// Nothing here may need the addon.
vi.mock('../../../lib/native.js', async (original) => ({
  ...(await original()),
  loadAddon: () => {
    throw new Error('the addon was asked for');
  },
}));

describe('export', () => {
  it('writes both networks into a folder and tells what they take and give', async () => {
    const folder = await temporaryFolder();
    const { path } = await writeCheckpoint(folder);
    const out = join(folder, 'models', 'new');
    const { status, out: text } = await cli('export', path, '--out', out, '--json');
    expect(status).toBe(0);
    const latents = { name: 'latents', type: 'float32', shape: ['batch', 64, 1, 1] };
    const images = { name: 'images', type: 'float32', shape: ['batch', 1, 8, 8] };
    expect(JSON.parse(text)).toMatchObject({
      files: [
        { network: 'generator', path: join(out, 'generator.onnx'), input: latents, output: images },
        { network: 'reverser', path: join(out, 'reverser.onnx'), input: images, output: latents },
      ],
      opset: 17,
      checkpoint: path,
      step: 7,
      averaged: true,
    });
    expect((await readdir(out)).sort()).toEqual(['generator.onnx', 'reverser.onnx']);
    for (const { path: file, bytes } of JSON.parse(text).files) expect((await stat(file)).size).toBe(bytes);
  });

  it('writes one network into a file: the generator, or the one that is named', async () => {
    const folder = await temporaryFolder();
    const { path } = await writeCheckpoint(folder);
    const out = join(folder, 'one.onnx');
    expect((await exportOnnx({ checkpoint: path, out })).files).toMatchObject([{ network: 'generator' }]);
    const reverser = await exportOnnx({ checkpoint: path, out, network: 'reverser' });
    expect(reverser.files).toMatchObject([{ network: 'reverser', path: out }]);
    expect((await readFile(out)).includes('reverser.m0.ado.gate.bias')).toBe(true);
  });

  it('gives the generator the moving average', async () => {
    const folder = await temporaryFolder();
    const { path } = await writeCheckpoint(folder);
    const { files } = await exportOnnx({ checkpoint: path, out: folder });
    const [generator, reverser] = await Promise.all(files.map((file) => readFile(file.path)));
    const holds = (file: Buffer | undefined, value: number) => {
      const eight = Buffer.from(Float32Array.from({ length: 8 }, () => value).buffer);
      return file?.includes(eight);
    };
    // The fixture's parameters are all 0.5, their averages 0.25.
    expect([holds(generator, 0.25), holds(generator, 0.5)]).toEqual([true, false]);
    expect([holds(reverser, 0.25), holds(reverser, 0.5)]).toEqual([false, true]);
  });

  it.each([
    [{ checkpoint: 'x', out: '' }, 'out must be a path'],
    [{ out: 'x' }, 'checkpoint must be a path'],
    [{ checkpoint: 'x', out: 'y', pixel: 'uint8' }, 'unknown option "pixel"; did you mean pixels?'],
    [
      { checkpoint: 'x', out: 'y', pixels: 'uint9' },
      'pixels = "uint9": expected float32 or uint8; did you mean uint8?',
    ],
    [
      { checkpoint: 'x', out: 'y', network: 'reverse' },
      'network = "reverse": expected generator or reverser; did you mean reverser?',
    ],
  ])('refuses %o', async (options, message) => {
    await expect(exportOnnx(options as never)).rejects.toMatchObject({ code: 'ERR_SAN_OPTIONS', message });
  });

  it('refuses a new place that looks like a file of another kind', async () => {
    const folder = await temporaryFolder();
    const { path } = await writeCheckpoint(folder);
    const to = (name: string) => exportOnnx({ checkpoint: path, out: join(folder, name) });
    await expect(to('m.onx')).rejects.toThrow(
      /^cannot write networks as \.onx \(.*m\.onx\): .*, or write .*m\.onx\/ for a folder .*; did you mean \.onnx\?$/,
    );
    await expect(to('m.txt')).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT', details: { field: 'out' } });
    await mkdir(join(folder, 'there.txt'));
    for (const name of ['there.txt', 'm.txt/', 'v1.2', 'name.with space'])
      expect((await to(name)).files).toHaveLength(2);
  });

  it('says what is wrong with checkpoint and place in one line', async () => {
    const folder = await temporaryFolder();
    const { path } = await writeCheckpoint(folder);
    await writeFile(join(folder, 'file'), '');
    await mkdir(join(folder, 'taken.onnx'));
    const missing = await cli('export', join(folder, 'nothing'), '--out', folder);
    expect([missing.status, missing.err]).toEqual([
      1,
      expect.stringMatching(/^error ERR_SAN_CHECKPOINT_NOT_FOUND: .*\n$/),
    ]);
    const file = await cli('export', path, '--out', join(folder, 'file'));
    expect(file.err).toMatch(/^error ERR_SAN_OUTPUT: cannot use .*: it is a file\n$/);
    const taken = await cli('export', path, '--out', join(folder, 'taken.onnx'));
    expect(taken.err).toMatch(/^error ERR_SAN_OUTPUT: cannot write .*taken.onnx: it is a folder\n$/);
    expect(await readdir(folder)).toEqual(['file', 'san.safetensors', 'taken.onnx']);
    expect((await cli('export', path)).err).toBe('error ERR_SAN_USAGE: the flag --out is missing\n');
    expect((await cli('export', path, '--out', folder, '--networc', 'x')).err).toContain(
      'did you mean --network?',
    );
  });
});
