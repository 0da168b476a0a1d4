/** Holds the native code to a golden file of the reference: spec section 5 says what such a file contains. */
import { readSafetensors } from '../../lib/checkpoint/safetensors.js';
import {
  type Addon,
  type Device,
  type Dtype,
  type Estimator,
  type FixedInputs,
  LOSS_NAMES,
  type LossOptions,
  type ModelOptions,
  type NativeTensor,
  type OptimizerOptions,
  type Pairing,
} from '../../lib/native.js';

/** Groups of numbers in a golden file, in the order they are computed. */
export const GROUPS = ['generate', 'reverse', 'losses', 'grad G', 'grad R', 'after 1', 'after 3'] as const;
export type Group = (typeof GROUPS)[number];

/** Largest error of a group, relative to the largest value of the tensor it was found in. */
export interface GroupError {
  error: number;
  /** The tensor with that error. */
  tensor: string;
}
export type Comparison = Record<Group, GroupError>;

/** Above these a comparison fails. AdamW turns a gradient near zero into a sign, so float32 is not judged by the steps. */
export const LIMITS: Record<Dtype, number> = { float64: 1e-8, float32: 1e-3 };
const JUDGED: Record<Dtype, readonly Group[]> = {
  float64: GROUPS,
  float32: GROUPS.filter((group) => !group.startsWith('after')),
};

/** What make_golden.py writes as metadata `config`. */
interface GoldenConfig {
  widths: number[];
  strides: number[];
  zc: number;
  sz: number;
  c: number;
  pairing: Pairing;
  wd: Estimator;
  gp: number;
  repulsion?: [number, number];
  lam: number;
  weights: [number, number, number, number, number];
  batch: number;
  lr: number;
  weight_decay: number;
  ado_threshold: number;
  ado_ratio: number;
  rpa_ratio: number;
  attention_ratio: number;
  sinkhorn_eps: number;
  sinkhorn_iterations: number;
}

interface Golden {
  config: GoldenConfig;
  tensors: Map<string, NativeTensor>;
}

async function readGolden(path: string): Promise<Golden> {
  const { metadata, tensors } = await readSafetensors(path);
  const config = metadata.config;
  if (config === undefined) throw new Error(`${path} has no metadata 'config'; it is not a golden file`);
  const byName = new Map<string, NativeTensor>();
  for (const tensor of tensors) {
    const { name, dtype, shape, data } = tensor;
    if (dtype !== 'float64' && dtype !== 'float32')
      throw new Error(`${path}: tensor '${name}' is ${dtype}, not float`);
    byName.set(name, { name, dtype, shape, data });
  }
  return { config: JSON.parse(config) as GoldenConfig, tensors: byName };
}

function values(tensor: NativeTensor): Float64Array {
  const bytes = tensor.data.slice();
  return tensor.dtype === 'float64'
    ? new Float64Array(bytes.buffer)
    : Float64Array.from(new Float32Array(bytes.buffer));
}

function cast(tensor: NativeTensor, dtype: Dtype, name = tensor.name): NativeTensor {
  if (tensor.dtype === dtype) return { ...tensor, name };
  const numbers = values(tensor);
  const array = dtype === 'float32' ? Float32Array.from(numbers) : numbers;
  return { name, dtype, shape: tensor.shape, data: new Uint8Array(array.buffer) };
}

/** max |a - b| / max |b|; Infinity where shapes differ or a number is not finite. */
export function relativeError(actual: NativeTensor, expected: NativeTensor): number {
  if (actual.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  const a = values(actual);
  const b = values(expected);
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    const gap = Math.abs((a[i] as number) - (b[i] as number));
    if (!Number.isFinite(gap)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, gap);
    largest = Math.max(largest, Math.abs(b[i] as number));
  }
  return difference === 0 ? 0 : difference / largest;
}

function optionsOf(c: GoldenConfig): { model: ModelOptions; loss: LossOptions; optimizer: OptimizerOptions } {
  const [wGD, wGI, wRZ, wRX, wLZ] = c.weights;
  return {
    model: {
      widths: c.widths,
      strides: c.strides,
      latentChannels: c.zc,
      latentSize: c.sz,
      imageChannels: c.c,
      adoThreshold: c.ado_threshold,
      adoRatio: c.ado_ratio,
      rpaRatio: c.rpa_ratio,
      attentionRatio: c.attention_ratio,
    },
    loss: {
      estimator: c.wd,
      projections: 1, // the file gives the directions
      pairing: c.pairing,
      wGD,
      wGI,
      lgiScales: [1],
      wRZ,
      wRX,
      wLZ,
      repulsionWeight: c.repulsion?.[0] ?? 0,
      repulsionMargin: c.repulsion?.[1] ?? 0,
      repulsionForm: 'hinge',
      penaltyWeight: c.gp,
      penaltyEvery: 1,
      penaltyForm: 'wgan-gp',
      sinkhornEpsilon: c.sinkhorn_eps,
      sinkhornIterations: c.sinkhorn_iterations,
    },
    optimizer: { learningRate: c.lr, weightDecay: c.weight_decay, lambda: c.lam, emaDecay: 0.9 },
  };
}

class Comparer {
  readonly result: Comparison;

  constructor(private readonly golden: Golden) {
    this.result = Object.fromEntries(GROUPS.map((group) => [group, { error: 0, tensor: '' }])) as Comparison;
  }

  check(group: Group, name: string, actual: NativeTensor): void {
    const error = relativeError(actual, this.expected(name));
    if (error >= this.result[group].error) this.result[group] = { error, tensor: name };
  }

  /** Compares every golden tensor under `prefix`; one that the native code does not have is an infinite error. */
  checkAll(group: Group, prefix: string, actual: NativeTensor[]): void {
    const found = new Map(actual.map((tensor) => [tensor.name, tensor]));
    for (const name of this.golden.tensors.keys()) {
      if (!name.startsWith(prefix)) continue;
      const tensor = found.get(name.slice(prefix.length));
      if (tensor) this.check(group, name, tensor);
      else this.result[group] = { error: Number.POSITIVE_INFINITY, tensor: `${name} (missing)` };
    }
  }

  expected(name: string): NativeTensor {
    const tensor = this.golden.tensors.get(name);
    if (!tensor) throw new Error(`the golden file has no tensor '${name}'`);
    return tensor;
  }
}

/** Runs the native code on a golden file's inputs and measures how far it is from the file's outputs. */
export async function compareGolden(
  addon: Addon,
  path: string,
  dtype: Dtype,
  device: Device = 'cpu',
): Promise<Comparison> {
  const golden = await readGolden(path);
  const { model, loss, optimizer } = optionsOf(golden.config);
  const comparer = new Comparer(golden);
  const input = (name: string) => cast(comparer.expected(`in.${name}`), dtype, name);
  const parameters = [...golden.tensors.values()]
    .filter((tensor) => tensor.name.startsWith('p.'))
    .map((tensor) => cast(tensor, dtype, tensor.name.slice(2)));

  const network = await addon.createNetwork({ model, tensors: parameters, dtype, device });
  const outputs = await network.forward({ z: input('z'), x: input('x') });
  comparer.check('generate', 'out.generate', outputs.generate);
  comparer.check('reverse', 'out.reverse', outputs.reverse);
  await network.dispose();

  const inputs: FixedInputs = { z: input('z'), x: input('x'), directions: input('directions') };
  if (golden.config.gp) Object.assign(inputs, { e: input('e'), u: input('u') });
  const trainer = await addon.createTrainer({
    model,
    loss,
    optimizer,
    seed: 0,
    batchSize: golden.config.batch,
    dtype,
    device,
    state: { step: 0, skipped: 0, tensors: parameters },
  });
  for (let step = 1; step <= 3; step++) {
    const report = await trainer.stepOn(inputs);
    if (step === 1) {
      for (const name of LOSS_NAMES) {
        const value = new Uint8Array(Float64Array.of(report.losses[name]).buffer);
        comparer.check('losses', `out.loss.${name}`, { name, dtype: 'float64', shape: [1], data: value });
      }
      comparer.checkAll('grad G', 'out.grad.g.', report.generatorGradients);
      comparer.checkAll('grad R', 'out.grad.r.', report.reverserGradients);
    }
    if (step === 1) comparer.checkAll('after 1', 'out.after1.', (await trainer.state()).tensors);
    if (step === 3) comparer.checkAll('after 3', 'out.after3.', (await trainer.state()).tensors);
  }
  await trainer.dispose();
  return comparer.result;
}

/** The groups of a comparison that are above the limit of their dtype. */
export function failures(comparison: Comparison, dtype: Dtype): Group[] {
  return JUDGED[dtype].filter((group) => !(comparison[group].error <= LIMITS[dtype]));
}
