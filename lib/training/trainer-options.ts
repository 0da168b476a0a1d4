import {
  augmentationOptions,
  type Config,
  lossOptions,
  modelOptions,
  optimizerOptions,
} from '../config/schema.js';
import { requireDevices } from '../device.js';
import type { Addon, TrainerOptions } from '../native.js';

/**
 * What a trainer takes from the settings; images and state are the caller's. `localRank` is the number among the ranks of
 * this machine. Throws ERR_SAN_DEVICE.
 */
export function trainerOptions(
  config: Config,
  addon: Pick<Addon, 'info'>,
  localRank?: number,
): Omit<TrainerOptions, 'dataset' | 'images' | 'state'> {
  const { seed, batchSize, accumulate, dataDevice, threads, precision, recompute } = config;
  return {
    model: modelOptions(config),
    loss: lossOptions(config),
    optimizer: optimizerOptions(config),
    augmentation: augmentationOptions(config),
    seed,
    batchSize,
    accumulate,
    dataDevice,
    precision,
    recompute,
    device: requireDevices(config, addon.info().cuda, localRank),
    ...(threads !== undefined && { threads }),
  };
}
