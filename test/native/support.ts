/** Small models and child processes for the native tests. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ImageBatch, ModelOptions, TrainerOptions } from '../../lib/native.js';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const model: ModelOptions = {
  widths: [16, 16, 8, 8, 8, 4, 4],
  strides: [2, 2, 2, 1, 1, 1],
  latentChannels: 8,
  latentSize: 1,
  imageChannels: 3,
  adoThreshold: 0.3,
  adoRatio: 0.5,
  rpaRatio: 0.5,
  attentionRatio: 0.25,
};

/** N images of 8×8 RGB with fixed pseudo-random pixels. */
export function someImages(count: number): ImageBatch {
  const data = new Uint8Array(count * 8 * 8 * 3);
  for (let i = 0; i < data.length; i++) data[i] = (Math.imul(i + 1, 2654435761) >>> 13) & 255;
  return { data, shape: [count, 8, 8, 3] };
}

export function trainerOptions(changes: Partial<TrainerOptions> = {}): TrainerOptions {
  return {
    model,
    loss: {
      estimator: 'normal',
      projections: 16,
      pairing: 'cycle',
      wGD: 0.3,
      wGI: 1,
      lgiScales: [1],
      wRZ: 1,
      wRX: 1,
      wLZ: 0,
      repulsionWeight: 0.3,
      repulsionMargin: 1,
      repulsionForm: 'hinge',
      penaltyWeight: 0,
      penaltyEvery: 1,
      penaltyForm: 'wgan-gp',
      sinkhornEpsilon: 0.05,
      sinkhornIterations: 20,
    },
    optimizer: { learningRate: 1e-3, weightDecay: 1e-2, lambda: 0.5, emaDecay: 0.9 },
    seed: 1,
    batchSize: 4,
    images: someImages(18),
    ...changes,
  };
}

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs an ES module text in a Node process of its own, with the compiled package at dist/. */
export function runNode(
  source: string,
  { timeout = 60_000, env = {} }: { timeout?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      cwd: root,
      timeout,
      env: { ...process.env, ...env },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
