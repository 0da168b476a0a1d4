/** How soon a fresh process has its first image. */
import { presets } from '../../lib/config/presets.js';
import { type BenchCase, nodeContender, pythonContender } from '../case.js';
import { freshModel } from '../fixtures.js';

const startup: BenchCase = {
  description: 'from loading a saved network to its first image, in a fresh process, libraries loaded',
  sizes: [32],
  async *comparisons({ folder, sizes }) {
    for (const imageSize of sizes) {
      const { checkpoint, config } = await freshModel(folder, { ...presets.quickstart, imageSize });
      yield {
        label: `${imageSize} px, quickstart widths`,
        unit: 'images',
        measure: 'time',
        items: 1,
        contenders: [
          { ...nodeContender('san-native', 'startup', { checkpoint }), ours: true },
          pythonContender('PyTorch eager', 'startup.py', { weights: checkpoint, config }),
        ],
      };
    }
  },
};
export default startup;
