/** A training step beside PyTorch, on the processor. */
import { presets } from '../../lib/config/presets.js';
import type { BenchCase } from '../case.js';
import { type Setting, trainingComparison } from '../training.js';

const settingsOf = (size: number, quick: boolean): Setting[] => {
  const { quickstart } = presets;
  const named = size >= 128 ? '128' : size >= 64 ? '64' : '32';
  const batchSize = Math.max(2, Math.min(16, 512 / size));
  const quickstartAt = { name: 'quickstart', values: { ...quickstart, imageSize: size } };
  const presetAt = { name: `preset ${named}`, values: { ...presets[named], imageSize: size, batchSize } };
  return quick
    ? [{ ...quickstartAt, values: { ...quickstartAt.values, batchSize: 4 } }]
    : [quickstartAt, presetAt];
};

const train: BenchCase = {
  description: 'training steps beside PyTorch, eager and compiled',
  sizes: [32, 64],
  async *comparisons(context) {
    for (const size of context.sizes)
      for (const setting of settingsOf(size, context.quick))
        yield await trainingComparison(context, setting, {
          precision: 'fp32',
          compile: true,
          checkedSteps: 3,
        });
  },
};
export default train;
