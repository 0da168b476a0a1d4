/** A training step on a GPU beside PyTorch. */
import type { BenchCase } from '../case.js';
import { compileMode, settingAt } from '../gpu-settings.js';
import { trainingComparison } from '../training.js';

const train: BenchCase = {
  description: 'training steps in bf16 beside PyTorch, eager and compiled by max-autotune',
  sizes: [32, 64, 128, 256],
  async *comparisons(context) {
    for (const size of context.sizes)
      yield await trainingComparison(context, settingAt(size, context.quick), {
        precision: 'bf16',
        compile: compileMode(context.device),
        checkedSteps: 1,
      });
  },
};
export default train;
