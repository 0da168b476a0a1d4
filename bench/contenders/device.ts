/** What a device can do, and what our kernels and a training step make of it; all of it measured when it is opened. */
import { resolveConfig } from '../../lib/config/resolve.js';
import { lossOptions, modelOptions } from '../../lib/config/schema.js';
import {
  type ConvolutionTimes,
  type Device,
  type KernelTime,
  loadAddon,
  type Peak,
  type Precision,
} from '../../lib/native.js';
import { stepsUntilCaptured } from '../../lib/training/captured-steps.js';
import { trainerOptions } from '../../lib/training/trainer-options.js';
import { NOTE } from '../process.js';
import type { OpenContender } from '../worker.js';

export interface DeviceOptions {
  device: Device;
  precision: Precision;
  threads: number;
  /** Config keys of the step, and of the parameters that are updated. */
  settings: Record<string, unknown>;
  /** Of an image tensor that kernels are timed on; kernels are left out without. */
  bytes?: number;
  /** Steps that are timed; none, and no convolutions, without. */
  steps?: number;
}

export interface DeviceFacts {
  peak: Peak;
  kernels?: KernelTime[];
  /** Seconds of a step, and of all its convolutions, each timed alone. */
  step?: { seconds: number } & ConvolutionTimes;
}

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const { device, precision, threads, settings, bytes, steps } = options as unknown as DeviceOptions;
  const config = resolveConfig([{ source: '', values: { ...settings, device, precision, threads } }]);
  const addon = loadAddon();
  const on = { device, precision, threads };
  const facts: DeviceFacts = { peak: await addon.measurePeak(on) };
  const model = modelOptions(config);
  if (bytes !== undefined) facts.kernels = await addon.measureKernels({ ...on, model, bytes });
  if (steps !== undefined) {
    const { imageSize, imageChannels, batchSize } = config;
    const shape = [batchSize, imageSize, imageSize, imageChannels] as const;
    const data = Uint8Array.from(
      { length: shape.reduce((a, b) => a * b) },
      (_, i) => (i * 2_654_435_761) >>> 24,
    );
    const trainer = await addon.createTrainer({
      ...trainerOptions(config, addon),
      images: { data, shape: [...shape] },
    });
    // Those that a GPU has not captured yet, and as many again.
    await trainer.run({ steps: 2 * stepsUntilCaptured(config) });
    const { seconds } = await trainer.run({ steps });
    await trainer.dispose();
    const convolutions = await addon.measureConvolutions({
      ...on,
      model,
      loss: lossOptions(config),
      batchSize,
    });
    facts.step = { seconds: seconds / steps, ...convolutions };
  }
  for (const text of addon.warnings()) process.stderr.write(`${NOTE}LibTorch: ${text}\n`);
  return {
    facts: { ...facts },
    round: () => Promise.reject(new Error('everything was measured when this was opened')),
    close: async () => {},
  };
}
