import {
  augmentationOptions,
  type Config,
  lossOptions,
  modelOptions,
  optimizerOptions,
} from '../config/schema.js';
import type { TrainerOptions } from '../native.js';

/** What a trainer takes from the settings; images and state are the caller's. */
export function trainerOptions(config: Config): Omit<TrainerOptions, 'dataset' | 'images' | 'state'> {
  const { seed, batchSize, accumulate, dataDevice, threads } = config;
  return {
    model: modelOptions(config),
    loss: lossOptions(config),
    optimizer: optimizerOptions(config),
    augmentation: augmentationOptions(config),
    seed,
    batchSize,
    accumulate,
    dataDevice,
    ...(threads !== undefined && { threads }),
  };
}
