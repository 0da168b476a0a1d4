import { dirname, join } from 'node:path';
import { type DamagedCheckpoint, type LoadedCheckpoint, loadCheckpoint } from '../checkpoint/checkpoint.js';
import { type NetworkName, parameterShapes } from '../checkpoint/parameters.js';
import { suggestion } from '../config/nearest.js';
import { modelOptions } from '../config/schema.js';
import { OutputError, SanError } from '../errors.js';
import { ensureFolder, writeFileAtomic } from '../files.js';
import type { ModelOptions } from '../native.js';
import { requireKeys } from '../options.js';
import { refuseMistypedFile } from '../output-place.js';
import { shown } from '../shown.js';
import { packageVersion } from '../version.js';
import { ElementType as Elements, type ElementType, encodeModel, type ValueInfo } from './messages.js';
import { generatorGraph, IMAGES, LATENTS, type Lookup, type OnnxPixels, reverserGraph } from './networks.js';

export const NETWORKS = ['generator', 'reverser'] as const satisfies NetworkName[];
export const PIXELS = ['float32', 'uint8'] as const satisfies OnnxPixels[];
/** Of the default domain; runtimes from 2022 on know it. IR version 8 belongs to it. */
export const OPSET = 17;
const IR_VERSION = 8;
/** What a protobuf message may take. */
const MOST_BYTES = 2 ** 31 - 1;
/** Graph and metadata without the parameters. */
const GRAPH_BYTES = 2 ** 20;

export interface ExportOptions {
  /** Checkpoint file, or run folder, whose newest whole checkpoint is taken. */
  checkpoint: string;
  /** Folder for generator.onnx and reverser.onnx; or, with a name that ends in .onnx, the file of one network. */
  out: string;
  /** Which network; default both into a folder, the generator into a file. */
  network?: NetworkName | undefined;
  /** float32 (N, C, S, S) from -1 to 1, or uint8 (N, S, S, C) from 0 to 255. Default float32. */
  pixels?: OnnxPixels | undefined;
}

/** Name, element type and shape of a network's input or output; "batch" is any number. */
export interface OnnxValue {
  name: string;
  type: OnnxPixels;
  shape: ['batch', number, number, number];
}

export interface ExportedNetwork {
  network: NetworkName;
  path: string;
  bytes: number;
  input: OnnxValue;
  output: OnnxValue;
}

export interface Exported {
  files: ExportedNetwork[];
  opset: number;
  /** The checkpoint file, and the training steps behind it. */
  checkpoint: string;
  step: number;
  /** Whether the generator's weights are the moving average. */
  averaged: boolean;
  /** Newer checkpoints of the run that were passed over because they are damaged, newest first. */
  damaged: DamagedCheckpoint[];
}

const KEYS: readonly (keyof ExportOptions)[] = ['checkpoint', 'out', 'network', 'pixels'];

/**
 * Writes generator and reverser as ONNX models (docs/export.md), straight from the checkpoint: neither the addon nor
 * LibTorch is needed. The generator's weights are the moving average, as for every image that San draws.
 *
 * Throws ERR_SAN_OPTIONS, CheckpointError, OutputError.
 */
export async function exportOnnx(options: ExportOptions): Promise<Exported> {
  const { out, network, pixels = 'float32' } = checked(options);
  await refuseMistypedFile(out, ['.onnx'], {
    what: 'networks',
    remedy: 'a folder, or a file that ends in .onnx',
  });
  const checkpoint = await loadCheckpoint(options.checkpoint, { parameters: parameterShapes });
  const single = /\.onnx$/i.test(out);
  await ensureFolder(single ? dirname(out) : out);
  const wanted = network !== undefined ? [network] : single ? (['generator'] as const) : NETWORKS;
  const files: ExportedNetwork[] = [];
  for (const name of wanted) {
    const path = single ? out : join(out, `${name}.onnx`);
    files.push(await writeNetwork(name, path, checkpoint, pixels));
  }
  const { path, step, damaged } = checkpoint;
  return { files, opset: OPSET, checkpoint: path, step, averaged: isAveraged(checkpoint), damaged };
}

async function writeNetwork(
  network: NetworkName,
  path: string,
  checkpoint: LoadedCheckpoint,
  pixels: OnnxPixels,
): Promise<ExportedNetwork> {
  const model = modelOptions(checkpoint.config);
  const lookup = lookupFor(network, checkpoint);
  const graph = (network === 'generator' ? generatorGraph : reverserGraph)(model, lookup, pixels);
  const parameterBytes = graph.initializers.reduce((sum, { rawData }) => sum + rawData.length, 0);
  if (parameterBytes + GRAPH_BYTES > MOST_BYTES) {
    throw new OutputError(
      `the ${network} has ${parameterBytes} bytes of parameters; an ONNX file holds at most 2 GiB`,
      { path },
    );
  }
  const [latents, images] = values(model, pixels);
  const [input, output] = network === 'generator' ? [latents, images] : [images, latents];
  const bytes = encodeModel({
    irVersion: IR_VERSION,
    producerName: 'san-native',
    producerVersion: await packageVersion(),
    docString: `The ${network} of a self-adversarial network, after ${checkpoint.step} training steps.`,
    opsetImport: [{ domain: '', version: OPSET }],
    graph: {
      name: network,
      node: graph.nodes,
      initializer: graph.initializers,
      input: [valueInfo(input)],
      output: [valueInfo(output)],
    },
    metadataProps: Object.entries({
      format: 'san-native',
      network,
      pixels,
      step: String(checkpoint.step),
      averaged: String(network === 'generator' && isAveraged(checkpoint)),
      config: JSON.stringify(checkpoint.config),
      checksum: checkpoint.checksum,
    }).map(([key, value]) => ({ key, value })),
  });
  await writeFileAtomic(path, [bytes]);
  return { network, path, bytes: bytes.length, input, output };
}

const isAveraged = ({ tensors }: LoadedCheckpoint): boolean =>
  tensors.some(({ name }) => name.startsWith('ema.'));

/** The generator draws with the moving average; the reverser has none. */
function lookupFor(network: NetworkName, { tensors }: LoadedCheckpoint): Lookup {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return (name) => {
    const averaged = network === 'generator' ? byName.get(`ema.${name}`) : undefined;
    const tensor = averaged ?? byName.get(name);
    if (tensor === undefined) throw new TypeError(`the checkpoint was found whole, yet lacks ${name}`);
    return tensor;
  };
}

function values(model: ModelOptions, pixels: OnnxPixels): [latents: OnnxValue, images: OnnxValue] {
  const { latentChannels, latentSize, imageChannels: c } = model;
  const s = model.strides.reduce((a, b) => a * b, latentSize);
  return [
    { name: LATENTS, type: 'float32', shape: ['batch', latentChannels, latentSize, latentSize] },
    { name: IMAGES, type: pixels, shape: pixels === 'uint8' ? ['batch', s, s, c] : ['batch', c, s, s] },
  ];
}

function valueInfo({ name, type, shape }: OnnxValue): ValueInfo {
  const elemType: ElementType = Elements[type];
  const dim = shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  const docString =
    name === LATENTS
      ? 'Standard normal for new images'
      : type === 'uint8'
        ? 'Pixels from 0 to 255, the last dimension being channels'
        : 'Pixels from -1 to 1';
  return { name, docString, type: { tensorType: { elemType, shape: { dim } } } };
}

function checked(options: ExportOptions): ExportOptions {
  const fail = (field: string, message: string) => {
    throw new SanError('ERR_SAN_OPTIONS', message, { field });
  };
  requireKeys(options, KEYS);
  const { checkpoint, out, network, pixels } = options;
  for (const [field, text] of Object.entries({ checkpoint, out })) {
    if (typeof text !== 'string' || text === '') fail(field, `${field} must be a path`);
  }
  const choices = { network: [network, NETWORKS], pixels: [pixels, PIXELS] } as const;
  for (const [field, [value, known]] of Object.entries(choices)) {
    if (value === undefined || (known as readonly string[]).includes(value)) continue;
    fail(
      field,
      `${field} = ${shown(value)}: expected ${known.join(' or ')}${suggestion(String(value), known)}`,
    );
  }
  return options;
}
