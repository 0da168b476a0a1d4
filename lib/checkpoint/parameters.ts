/** Names and shapes of a model's parameters (spec section 5) without the addon; a native test holds the two together. */
import type { ModelOptions, ParameterInfo } from '../native.js';

const MODULES = 6;
const BLOCKS = 3;
/** Fewest hidden channels of an attention or a gate. */
const LEAST_HIDDEN = 4;

export type NetworkName = 'generator' | 'reverser';

/** In the order of a checkpoint: shared kernels, the generator's own, the reverser's own. */
export function parameterShapes(model: ModelOptions): ParameterInfo[] {
  const { latentChannels, imageChannels } = model;
  const width = (boundary: number) => model.widths[boundary] as number;
  const list: ParameterInfo[] = [{ name: 'kernel.latent', shape: [latentChannels, width(0), 1, 1] }];
  for (let m = 0; m < MODULES; m++) {
    for (let b = 0; b < BLOCKS; b++) {
      list.push({ name: `kernel.m${m}.b${b}`, shape: [width(b === 0 ? m : m + 1), width(m + 1), 3, 3] });
    }
  }
  list.push({ name: 'kernel.image', shape: [width(MODULES), imageChannels, 3, 3] });
  return [...list, ...ownParameters('generator', model), ...ownParameters('reverser', model)];
}

function ownParameters(network: NetworkName, model: ModelOptions): ParameterInfo[] {
  const { widths, latentChannels, imageChannels, adoRatio, rpaRatio, attentionRatio } = model;
  const forward = network === 'generator';
  const list: ParameterInfo[] = [];
  const add = (name: string, ...shape: number[]) => list.push({ name: `${network}.${name}`, shape });
  const pair = (name: string, second: string, channels: number, ratio: number, ...kernel: number[]) => {
    const hidden = Math.max(LEAST_HIDDEN, Math.trunc(channels * ratio));
    add(`${name}.squeeze.weight`, hidden, channels, ...kernel);
    add(`${name}.squeeze.bias`, hidden);
    add(`${name}.${second}.weight`, channels, hidden, ...kernel);
    add(`${name}.${second}.bias`, channels);
  };
  add('latent.bias', forward ? (widths[0] as number) : latentChannels);
  add('image.bias', forward ? imageChannels : (widths[MODULES] as number));
  for (let m = 0; m < MODULES; m++) {
    const [inner, outer] = [widths[m] as number, widths[m + 1] as number];
    for (let b = 0; b < BLOCKS; b++) {
      const first = b === 0 ? inner : outer;
      const [into, outOf] = forward ? [first, outer] : [outer, first];
      add(`m${m}.b${b}.bias`, outOf);
      pair(`m${m}.b${b}.attention`, 'excite', into, attentionRatio);
    }
    pair(`m${m}.ado`, 'gate', inner, adoRatio, 3, 3);
    pair(`m${m}.rpa`, 'gate', outer, rpaRatio, 3, 3);
  }
  return list;
}
