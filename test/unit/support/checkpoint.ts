import { join } from 'node:path';
import { saveCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { parameterShapes } from '../../../lib/checkpoint/parameters.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { type ConfigInput, modelOptions } from '../../../lib/config/schema.js';
import { progress, tensor } from './fake-addon.js';

/** Writes a checkpoint with every parameter of a small model, and gives its path. */
export async function writeCheckpoint(folder: string, values: ConfigInput = {}, name = 'san.safetensors') {
  const small: ConfigInput = { imageSize: 8, baseWidth: 2, maxWidth: 4, imageChannels: 1 };
  const config = resolveConfig([{ source: '', values: { ...small, ...values } }]);
  const parameters = parameterShapes(modelOptions(config));
  const tensors = [
    ...parameters.map(({ name, shape }) => tensor(name, shape, 0.5)),
    ...parameters
      .filter(({ name }) => !name.startsWith('reverser.'))
      .map(({ name, shape }) => tensor(`ema.${name}`, shape, 0.25)),
  ];
  const path = join(folder, name);
  await saveCheckpoint(path, { config, step: 7, images: 700, ...progress, tensors });
  return { path, config, parameters };
}
