/**
 * The two networks as ONNX graphs: spec section 1, operation by operation as in native/src/model. Values are
 * (N, C, H, W), all but N known beforehand.
 */
import type { NetworkName } from '../checkpoint/parameters.js';
import type { ModelOptions, NativeTensor } from '../native.js';
import { Graph } from './graph.js';

/** A tensor of a checkpoint by its name (spec section 5), the moving average's already in its place. */
export type Lookup = (name: string) => NativeTensor;

/** What pixels are outside the network: from -1 to 1 (N, C, H, W), or 8 bits (N, H, W, C). */
export type OnnxPixels = 'float32' | 'uint8';

export const LATENTS = 'latents';
export const IMAGES = 'images';

const SLOPE = { alpha: { float: 0.2 } };
const NORM_EPSILON = 1e-8;
const HALF_RANGE = 127.5;
const BLOCKS = [0, 1, 2] as const;

/** Input `latents`, output `images`. */
export function generatorGraph(model: ModelOptions, lookup: Lookup, pixels: OnnxPixels): Graph {
  const net = new Layers('generator', model, lookup);
  const { graph } = net;
  const { widths, strides } = model;
  let x = net.transposed(LATENTS, 'kernel.latent', 'latent.bias', 1, 0);
  let size = model.latentSize;
  for (const [m, stride] of strides.entries()) {
    const [inner, outer] = [widths[m] as number, widths[m + 1] as number];
    x = net.ado(`m${m}.ado`, x);
    for (const b of BLOCKS) {
      const [s, channels] = b === 0 ? [stride, inner] : [1, outer];
      const block = `m${m}.b${b}`;
      const y = net.transposed(net.attention(block, x), `kernel.${block}`, `${block}.bias`, s, 1);
      const matched = net.matchChannels(x, channels, outer, size);
      const shortcut =
        s === 1
          ? matched
          : graph.add('Resize', [matched, '', graph.floats('twice', [1, 1, 2, 2])], {
              mode: 'nearest',
              coordinate_transformation_mode: 'asymmetric',
              nearest_mode: 'floor',
            });
      size *= s;
      x = graph.add('Add', [net.normAct(y), shortcut]);
    }
    x = net.rpa(`m${m}.rpa`, x);
  }
  const image = net.transposed(x, 'kernel.image', 'image.bias', 1, 1);
  if (pixels === 'float32') {
    graph.add('Tanh', [image], {}, IMAGES);
    return graph;
  }
  const last = graph.add('Transpose', [graph.add('Tanh', [image])], { perm: [0, 2, 3, 1] });
  const scaled = graph.add('Mul', [
    graph.add('Add', [last, graph.scalar('one', 1)]),
    graph.scalar('half_range', HALF_RANGE),
  ]);
  const limits = [graph.scalar('least', 0), graph.scalar('most', 2 * HALF_RANGE)];
  const whole = graph.add('Clip', [graph.add('Round', [scaled]), ...limits]);
  graph.add('Cast', [whole], { to: 2 }, IMAGES);
  return graph;
}

/** Input `images`, output `latents`. */
export function reverserGraph(model: ModelOptions, lookup: Lookup, pixels: OnnxPixels): Graph {
  const net = new Layers('reverser', model, lookup);
  const { graph } = net;
  const { widths, strides } = model;
  let size = strides.reduce((a, b) => a * b, model.latentSize);
  let image = IMAGES;
  if (pixels === 'uint8') {
    const bytes = graph.add('Cast', [IMAGES], { to: 1 });
    const halved = graph.add('Div', [bytes, graph.scalar('half_range', HALF_RANGE)]);
    const centred = graph.add('Sub', [halved, graph.scalar('one', 1)]);
    image = graph.add('Transpose', [centred], { perm: [0, 3, 1, 2] });
  }
  let x = net.leakyRelu(net.convolution(image, 'kernel.image', 'reverser.image.bias', 1, 1));
  for (let m = strides.length - 1; m >= 0; m--) {
    const [inner, outer] = [widths[m] as number, widths[m + 1] as number];
    x = net.rpa(`m${m}.rpa`, x);
    for (const b of BLOCKS.toReversed()) {
      const [s, channels] = b === 0 ? [strides[m] as number, inner] : [1, outer];
      const block = `m${m}.b${b}`;
      const y = net.convolution(net.attention(block, x), `kernel.${block}`, `reverser.${block}.bias`, s, 1);
      const pooled = s === 1 ? x : graph.add('AveragePool', [x], { kernel_shape: [2, 2], strides: [2, 2] });
      size /= s;
      x = graph.add('Add', [net.normAct(y), net.matchChannels(pooled, outer, channels, size)]);
    }
    x = net.ado(`m${m}.ado`, x);
  }
  net.convolution(x, 'kernel.latent', 'reverser.latent.bias', 1, 0, LATENTS);
  return graph;
}

/** Parts that both networks are made of: spec section 1, Parts. */
class Layers {
  readonly graph = new Graph();
  private readonly network: NetworkName;
  private readonly model: ModelOptions;
  private readonly lookup: Lookup;

  constructor(network: NetworkName, model: ModelOptions, lookup: Lookup) {
    this.network = network;
    this.model = model;
    this.lookup = lookup;
  }

  /** Transposed convolution of the generator; padding 1 for kernels of 3×3. */
  transposed(x: string, kernel: string, bias: string, stride: number, padding: number): string {
    return this.graph.add('ConvTranspose', [x, this.tensor(kernel), this.own(bias)], {
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      output_padding: [stride - 1, stride - 1],
    });
  }

  convolution(
    x: string,
    kernel: string,
    bias: string,
    stride: number,
    padding: number,
    output?: string,
  ): string {
    const attributes = { strides: [stride, stride], pads: [padding, padding, padding, padding] };
    return this.graph.add('Conv', [x, this.tensor(kernel), this.tensor(bias)], attributes, output);
  }

  leakyRelu(x: string): string {
    return this.graph.add('LeakyRelu', [x], SLOPE);
  }

  pixelNorm(x: string): string {
    const { graph } = this;
    const square = graph.add('ReduceMean', [graph.add('Mul', [x, x])], { axes: [1], keepdims: 1 });
    const raised = graph.add('Add', [square, graph.scalar('norm_epsilon', NORM_EPSILON)]);
    return graph.add('Div', [x, graph.add('Sqrt', [raised])]);
  }

  normAct(x: string): string {
    return this.leakyRelu(this.pixelNorm(x));
  }

  attention(block: string, x: string): string {
    const { graph } = this;
    const name = `${block}.attention`;
    const mean = graph.add('GlobalAveragePool', [x]);
    const hidden = this.leakyRelu(this.linear(mean, `${name}.squeeze`));
    return graph.add('Mul', [x, graph.add('Sigmoid', [this.linear(hidden, `${name}.excite`)])]);
  }

  rpa(name: string, x: string): string {
    const { graph } = this;
    const hidden = this.normAct(this.gateConvolution(x, `${name}.squeeze`, 2));
    const gate = graph.add('Sigmoid', [this.pixelNorm(this.gateConvolution(hidden, `${name}.gate`, 2))]);
    // Sizes rather than factors: half of an odd size would be off by rounding.
    const resized = graph.add('Resize', [gate, '', '', graph.add('Shape', [x])], {
      mode: 'linear',
      coordinate_transformation_mode: 'half_pixel',
    });
    return graph.add('Mul', [x, resized]);
  }

  ado(name: string, x: string): string {
    const { graph } = this;
    const hidden = this.leakyRelu(this.gateConvolution(this.pixelNorm(x), `${name}.squeeze`, 1));
    const a = graph.add('Sigmoid', [this.gateConvolution(this.pixelNorm(hidden), `${name}.gate`, 1)]);
    const passes = graph.add('GreaterOrEqual', [a, graph.scalar('ado_threshold', this.model.adoThreshold)]);
    return graph.add('Where', [passes, x, graph.scalar('zero', 0)]);
  }

  /** Mean over groups of consecutive channels, or each repeated; `size` is width and height. */
  matchChannels(x: string, from: number, to: number, size: number): string {
    const { graph } = this;
    if (from === to) return x;
    if (from > to) {
      const shape = graph.integers(`groups_${to}_${from / to}_${size}`, [0, to, from / to, size, size]);
      const groups = graph.add('Reshape', [x, shape]);
      return graph.add('ReduceMean', [groups], { axes: [2], keepdims: 0 });
    }
    const sources = Array.from({ length: to }, (_, i) => Math.floor((i * from) / to));
    return graph.add('Gather', [x, graph.integers(`repeat_${from}_${to}`, sources)], { axis: 1 });
  }

  /** As a convolution of one pixel, which saves changing shapes. */
  private linear(x: string, name: string): string {
    const weight = this.lookup(`${this.network}.${name}.weight`);
    const kernel = this.graph.parameter(`${this.network}.${name}.weight`, weight, [...weight.shape, 1, 1]);
    return this.graph.add('Conv', [x, kernel, this.own(`${name}.bias`)]);
  }

  private gateConvolution(x: string, name: string, stride: number): string {
    const parameter = `${this.network}.${name}`;
    return this.convolution(x, `${parameter}.weight`, `${parameter}.bias`, stride, 1);
  }

  private own(name: string): string {
    return this.tensor(`${this.network}.${name}`);
  }

  private tensor(name: string): string {
    return this.graph.parameter(name, this.lookup(name));
  }
}
