/** Which of two ways to run a transposed convolution of stride 1 the processor does faster in training. */
import { presets } from '../../lib/config/presets.js';
import { resolveConfig } from '../../lib/config/resolve.js';
import { type BenchCase, Disagreement, pythonContender } from '../case.js';

const FLIPPED = 'flipped convolution';

const transposed: BenchCase = {
  description:
    "the generator's transposed convolutions with gradients, beside convolutions by flipped kernels",
  sizes: [32, 64],
  async *comparisons({ sizes, threads }) {
    for (const imageSize of sizes) {
      for (const preset of ['quickstart', '32'] as const) {
        const config = resolveConfig([
          { source: '', values: { ...presets[preset], imageSize, batchSize: 16 } },
        ]);
        const options = { config, threads };
        yield {
          label: `${imageSize} px, ${preset === '32' ? "preset 32's" : preset} widths, batch 16: one block of each module`,
          unit: 'passes',
          measure: 'rate',
          contenders: [
            {
              ...pythonContender('transposed', 'transposed.py', { ...options, flip: false }),
              ours: true,
            },
            pythonContender(FLIPPED, 'transposed.py', { ...options, flip: true }),
          ],
          agreement: (facts) => {
            const [one, other] = [...facts.values()].map(({ sums }) => sums as number[]);
            const apart = one?.some((sum, i) => Math.abs(sum / (other?.[i] ?? sum) - 1) > 1e-5);
            if (apart) throw new Disagreement(FLIPPED, 'its results are others');
            return [];
          },
        };
      }
    }
  },
};
export default transposed;
