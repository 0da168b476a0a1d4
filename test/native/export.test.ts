/** Exported networks give what the native ones give, whatever the architecture; ONNX's own checker, when there is one. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saveCheckpoint } from '../../lib/checkpoint/checkpoint.js';
import { parameterShapes } from '../../lib/checkpoint/parameters.js';
import { resolveConfig } from '../../lib/config/resolve.js';
import { type Config, type ConfigInput, modelOptions } from '../../lib/config/schema.js';
import { exportOnnx } from '../../lib/export/export.js';
import { loadAddon, type NativeTensor } from '../../lib/native.js';
import { progress } from '../unit/support/fake-addon.js';
import { findPython } from './python.js';
import { normals } from './samples.js';

const LIMIT = 1e-4;
const python = findPython('onnx', "ONNX's checker");
const addon = loadAddon();
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const architectures: Record<string, ConfigInput> = {
  'strides late, colour': { imageSize: 16, widths: [16, 16, 8, 8, 8, 4, 4] },
  'strides early, grey': {
    imageSize: 20,
    latentSize: 5,
    strides: [2, 2, 1, 1, 1, 1],
    widths: [8, 8, 8, 8, 8, 8, 8],
    imageChannels: 1,
  },
  'widths up and down': { imageSize: 8, widths: [4, 12, 6, 24, 8, 16, 2], strides: [1, 2, 1, 2, 1, 2] },
  'odd size, no stride': {
    imageSize: 7,
    latentSize: 7,
    strides: [1, 1, 1, 1, 1, 1],
    latentChannels: 3,
    widths: [8, 8, 8, 8, 8, 8, 8],
  },
  'odd sizes, other ratios': {
    imageSize: 44,
    latentSize: 11,
    strides: [2, 1, 1, 2, 1, 1],
    latentChannels: 2,
    widths: [16, 16, 8, 8, 8, 8, 8],
    adoRatio: 0.7,
    rpaRatio: 0.25,
    attentionRatio: 1,
    adoThreshold: 0.45,
  },
  'every stride, wide enough to be typical': {
    imageSize: 64,
    strides: [2, 2, 2, 2, 2, 2],
    baseWidth: 4,
    maxWidth: 64,
    imageChannels: 1,
  },
};

/** Parameters as after some training: kernels of the usual size, biases off zero. */
function randomTensors(config: Config, seed: number): NativeTensor[] {
  const normal = normals(seed);
  return parameterShapes(modelOptions(config)).map(({ name, shape }) => {
    const fan = shape.slice(1).reduce((a, b) => a * b, 1);
    const scale = shape.length === 1 ? 0.2 : Math.sqrt(2 / 1.04 / fan);
    const length = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length }, () => scale * normal());
    return { name, dtype: 'float32', shape, data: new Uint8Array(data.buffer) };
  });
}

function batch(shape: number[], seed: number, limit = Number.POSITIVE_INFINITY): Float32Array {
  const normal = normals(seed);
  const length = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length }, () => Math.max(-limit, Math.min(limit, normal())));
}

const native = (data: Float32Array, shape: number[]): NativeTensor => ({
  name: '',
  dtype: 'float32',
  shape,
  data: new Uint8Array(data.buffer),
});

const floats = ({ data }: NativeTensor) => new Float32Array(data.slice().buffer);

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++)
    largest = Math.max(largest, Math.abs((a[i] as number) - (b[i] as number)));
  return largest;
}

async function runOnnx(path: string, input: Tensor): Promise<Tensor> {
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1 });
  try {
    const [inputName = '', outputName = ''] = [session.inputNames[0], session.outputNames[0]];
    return (await session.run({ [inputName]: input }))[outputName] as Tensor;
  } finally {
    await session.release();
  }
}

async function checkpointOf(name: string, values: ConfigInput, averaged = true) {
  const config = resolveConfig([{ source: '', values: { ...values } }]);
  const raw = randomTensors(config, 1);
  const average = randomTensors(config, 2).filter((tensor) => !tensor.name.startsWith('reverser.'));
  const renamed = average.map((tensor) => ({ ...tensor, name: `ema.${tensor.name}` }));
  const path = join(folder, `${name.replace(/\W+/g, '-')}.safetensors`);
  const tensors = averaged ? [...raw, ...renamed] : raw;
  await saveCheckpoint(path, { config, step: 7, images: 10, ...progress, tensors });
  const generator = averaged ? [...average, ...raw.filter((t) => t.name.startsWith('reverser.'))] : raw;
  return { config, path, raw, generator };
}

/** What both networks give for fixed inputs; the generator with its moving average. */
async function nativeOutputs(config: Config, tensors: NativeTensor[], z: NativeTensor, x: NativeTensor) {
  const network = await addon.createNetwork({ model: modelOptions(config), tensors });
  try {
    return await network.forward({ z, x });
  } finally {
    await network.dispose();
  }
}

test.each(Object.entries(architectures))('parameters without the addon: %s', (_, values) => {
  const model = modelOptions(resolveConfig([{ source: '', values: { ...values } }]));
  expect(parameterShapes(model)).toEqual(addon.parameters(model));
});

describe.each(Object.entries(architectures))('%s', (name, values) => {
  test('generator and reverser agree with the native ones', async () => {
    const { config, path, raw, generator } = await checkpointOf(name, values);
    const { imageSize: s, imageChannels: c, latentChannels, latentSize } = config;
    const exported = await exportOnnx({ checkpoint: path, out: join(folder, name.replace(/\W+/g, '-')) });
    const [g, r] = exported.files;
    for (const count of [1, 3]) {
      const [latentShape, imageShape] = [
        [count, latentChannels, latentSize, latentSize],
        [count, c, s, s],
      ];
      const [z, x] = [batch(latentShape, 5), batch(imageShape, 6, 1)];
      const [zt, xt] = [native(z, latentShape), native(x, imageShape)];
      const images = floats((await nativeOutputs(config, generator, zt, xt)).generate);
      const latents = floats((await nativeOutputs(config, raw, zt, xt)).reverse);
      const drawn = await runOnnx(g?.path ?? '', new Tensor('float32', z, latentShape));
      const reversed = await runOnnx(r?.path ?? '', new Tensor('float32', x, imageShape));
      expect(drawn.dims).toEqual(imageShape);
      expect(reversed.dims).toEqual(latentShape);
      expect(Math.max(...images.map(Math.abs))).toBeGreaterThan(0.01);
      expect(largestDifference(drawn.data as Float32Array, images)).toBeLessThan(LIMIT);
      expect(largestDifference(reversed.data as Float32Array, latents)).toBeLessThan(LIMIT);
    }
  });
});

test('8-bit pixels are those of the addon, to a rounding', async () => {
  const { config, path } = await checkpointOf('bytes', architectures['strides late, colour'] ?? {});
  const { files } = await exportOnnx({ checkpoint: path, out: join(folder, 'bytes'), pixels: 'uint8' });
  const network = await addon.createNetwork({
    model: modelOptions(config),
    tensors: [...randomTensors(config, 1), ...averagedTensors(config)],
  });
  const shape: [number, number, number, number] = [2, config.latentChannels, 1, 1];
  const latents = batch(shape, 5);
  const images = await network.decode({ latents: { data: latents, shape } });
  const reversed = await network.reverse({ images });
  await network.dispose();
  const drawn = await runOnnx(files[0]?.path ?? '', new Tensor('float32', latents, shape));
  expect(drawn.type).toBe('uint8');
  expect(drawn.dims).toEqual(images.shape);
  expect(largestDifference(drawn.data as Uint8Array, images.data)).toBeLessThanOrEqual(1);
  const again = await runOnnx(files[1]?.path ?? '', new Tensor('uint8', images.data, images.shape));
  expect(largestDifference(again.data as Float32Array, reversed.data)).toBeLessThan(LIMIT);
});

const averagedTensors = (config: Config) =>
  randomTensors(config, 2)
    .filter(({ name }) => !name.startsWith('reverser.'))
    .map((tensor) => ({ ...tensor, name: `ema.${tensor.name}` }));

test('a checkpoint without a moving average gives its raw weights', async () => {
  const { config, path, raw } = await checkpointOf('raw', architectures['widths up and down'] ?? {}, false);
  const exported = await exportOnnx({ checkpoint: path, out: join(folder, 'raw.onnx') });
  expect(exported).toMatchObject({ averaged: false, files: [{ network: 'generator' }] });
  const [zShape, xShape] = [
    [1, config.latentChannels, 1, 1],
    [1, 3, 8, 8],
  ];
  const z = batch(zShape, 5);
  const { generate } = await nativeOutputs(config, raw, native(z, zShape), native(batch(xShape, 6), xShape));
  const drawn = await runOnnx(join(folder, 'raw.onnx'), new Tensor('float32', z, zShape));
  expect(largestDifference(drawn.data as Float32Array, floats(generate))).toBeLessThan(LIMIT);
});

test.runIf(python)("passes ONNX's checker, and names what it is", async () => {
  const { config, path } = await checkpointOf('checked', architectures['odd sizes, other ratios'] ?? {});
  const out = join(folder, 'checked');
  for (const pixels of ['float32', 'uint8'] as const) {
    await exportOnnx({ checkpoint: path, out, pixels });
    const script = `
import json, onnx, sys
for name in ("generator", "reverser"):
    model = onnx.load(f"{sys.argv[1]}/{name}.onnx")
    onnx.checker.check_model(model, full_check=True)
    shape = lambda v: [v.name] + [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
    print(json.dumps([[p.version for p in model.opset_import], shape(model.graph.input[0]), shape(model.graph.output[0]),
                      {p.key: p.value for p in model.metadata_props}]))
`;
    const checked = spawnSync(python as string, ['-c', script, out], { encoding: 'utf8' });
    expect(checked.status, checked.stderr).toBe(0);
    const [g, r] = checked.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const latents = ['latents', 'batch', 2, 11, 11];
    const images = ['images', 'batch', ...(pixels === 'uint8' ? [44, 44, 3] : [3, 44, 44])];
    const metadata = { format: 'san-native', pixels, step: '7', config: JSON.stringify(config) };
    expect(g).toMatchObject([[17], latents, images, { ...metadata, network: 'generator', averaged: 'true' }]);
    expect(r).toMatchObject([[17], images, latents, { ...metadata, network: 'reverser', averaged: 'false' }]);
  }
});

test('one checkpoint, one file, byte for byte', async () => {
  const { path } = await checkpointOf('again', architectures['widths up and down'] ?? {});
  const out = join(folder, 'again', 'g.onnx');
  await exportOnnx({ checkpoint: path, out });
  const first = readFileSync(out);
  await exportOnnx({ checkpoint: path, out });
  expect(Buffer.compare(first, readFileSync(out))).toBe(0);
});
