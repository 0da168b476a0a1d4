/** How far the kernels of inference are from the networks made of ATen's operations; for child processes. */
import {
  type InferencePrecision,
  loadAddon,
  type ModelOptions,
  type NativeTensor,
} from '../../lib/native.js';
import { model, trainerOptions } from './support.js';

/** Widths that are no multiple of a vector, all kinds of stride, grey and colour, latents of several pixels. */
const MODELS: Record<string, Partial<ModelOptions>> = {
  small: {},
  grey: { imageChannels: 1, strides: [1, 2, 2, 2, 2, 1], widths: [24, 24, 48, 12, 6, 6, 6] },
  wide: { latentSize: 3, strides: [1, 1, 2, 2, 1, 1], widths: [40, 80, 80, 16, 32, 32, 64] },
};

/** Three numbers more than a group of images. */
const IMAGES = 19;

export interface Difference {
  /** In 8-bit levels, of images before rounding: half a level is rounding itself. */
  images: number;
  /** The share that is further than half a level and 1e-4 of an image's range. */
  beyondRounding: number;
  /** The mean: rounding alone makes a quarter. */
  meanOfImages: number;
  /** Of latents, whose standard deviation is about 1. */
  latents: number;
}

/** Differences by model, of the kernels in `precision`. */
export async function differences(
  precision: InferencePrecision = 'fp32',
): Promise<Record<string, Difference>> {
  const out: Record<string, Difference> = {};
  for (const [name, changes] of Object.entries(MODELS))
    out[name] = await difference({ ...model, ...changes }, precision);
  return out;
}

async function difference(options: ModelOptions, precision: InferencePrecision): Promise<Difference> {
  const addon = loadAddon();
  const { images: _, ...rest } = trainerOptions({ model: options, batchSize: 2 });
  const trainer = await addon.createTrainer(rest);
  const tensors = (await trainer.state()).tensors
    .filter(({ name }) => /^(kernel|generator|reverser)\./.test(name))
    .map((tensor) => (tensor.name.endsWith('.bias') ? disturbed(tensor) : tensor));
  await trainer.dispose();
  const network = await addon.createNetwork({ model: options, tensors, precision });
  const { latentChannels, latentSize } = options;
  const z = await addon.latents({ count: IMAGES, seed: 3, latentChannels, latentSize });
  const drawn = await network.decode({ latents: z });
  const [count, height, width, channels] = drawn.shape;
  const pixels = new Float32Array(drawn.data.length);
  const place = (n: number, y: number, x: number, c: number) => ((n * channels + c) * height + y) * width + x;
  const eachPixel = (f: (at: number, level: number) => void) => {
    let i = 0;
    for (let n = 0; n < count; n++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          for (let c = 0; c < channels; c++) f(place(n, y, x, c), drawn.data[i++] ?? 0);
  };
  eachPixel((at, level) => {
    pixels[at] = level / 127.5 - 1;
  });
  const expected = await network.forward({
    z: tensorOf('z', z.shape, z.data),
    x: tensorOf('x', [count, channels, height, width], pixels),
  });
  const values = floats(expected.generate);
  let images = 0;
  let beyond = 0;
  let sum = 0;
  eachPixel((at, level) => {
    const apart = Math.abs(((values[at] ?? Number.NaN) + 1) * 127.5 - level);
    images = Math.max(images, apart);
    if (!(apart <= 0.5 + 1e-4 * 127.5)) beyond++;
    sum += apart;
  });
  const latents = (await network.reverse({ images: drawn })).data.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (floats(expected.reverse)[i] ?? Number.NaN))),
    0,
  );
  await network.dispose();
  return {
    images,
    beyondRounding: beyond / values.length,
    meanOfImages: sum / values.length,
    latents,
  };
}

const floats = ({ data }: NativeTensor) => new Float32Array(data.slice().buffer);

const tensorOf = (
  name: string,
  shape: number[],
  { buffer, byteOffset, byteLength }: Float32Array,
): NativeTensor => ({
  ...{ name, dtype: 'float32', shape },
  data: new Uint8Array(buffer, byteOffset, byteLength),
});

/** A bias as training leaves it; fresh ones are 0. */
function disturbed(tensor: NativeTensor): NativeTensor {
  const values = floats(tensor).map((_, i) => Math.sin(i + tensor.name.length) / 4);
  return tensorOf(tensor.name, tensor.shape, values);
}
