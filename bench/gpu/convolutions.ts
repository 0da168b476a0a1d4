/** Which share of a step is convolutions, and how near to the device's peak they run. */
import type { ConvolutionTime } from '../../lib/native.js';
import { type BenchCase, nodeContender, type Table } from '../case.js';
import type { DeviceFacts } from '../contenders/device.js';
import { settingAt } from '../gpu-settings.js';
import { factsOf } from '../process.js';

const STEPS = 64;
const QUICK_STEPS = 1;
const PRECISION = 'bf16';

const convolutions: BenchCase = {
  description: 'convolutions in a training step without the penalty: their share of its time and of the peak',
  sizes: [32, 64, 128, 256],
  async *comparisons({ device, threads, quick, sizes }) {
    const steps = quick ? QUICK_STEPS : STEPS;
    const found: { label: string; facts: DeviceFacts }[] = [];
    for (const size of sizes) {
      const { name, values } = settingAt(size, quick);
      // The convolutions that are timed are those of a step without the penalty, so the step is one as well.
      const settings = { ...values, penaltyWeight: 0 };
      const options = { device, threads, precision: PRECISION, steps, settings };
      const facts = await factsOf(nodeContender('convolutions', 'device', options));
      found.push({ label: `${size} px, ${name}`, facts: facts as unknown as DeviceFacts });
    }
    yield tableOf(found);
  },
};
export default convolutions;

function tableOf(found: { label: string; facts: DeviceFacts }[]): Table {
  const rows = found.flatMap(({ label, facts: { peak, step } }) => {
    if (step === undefined) return [];
    const { forward, backward, transposed, flipped, seconds } = step;
    const convolving = forward.seconds + backward.seconds;
    const ofPeak = ({ operations, seconds }: ConvolutionTime) => percent(operations / seconds / peak.matmul);
    return [
      [
        label,
        (seconds * 1e3).toFixed(3),
        (convolving * 1e3).toFixed(3),
        percent(convolving / seconds),
        ofPeak(forward),
        ofPeak(backward),
        transposed.calls === 0 ? '' : `${(flipped.seconds / transposed.seconds).toFixed(2)}×`,
      ],
    ];
  });
  return {
    label: `a step in ${PRECISION} and its convolutions, each of them timed alone`,
    head: ['', 'step, ms', 'convolutions, ms', 'share', 'forward, of peak', 'backward, of peak', 'flipped'],
    rows,
    lines: [
      'the peak is that of a product of two matrices, measured in the same process',
      'flipped: transposed convolutions of stride 1 with their gradients as convolutions by flipped kernels, over the time that they take as such',
    ],
    data: { precision: PRECISION, found },
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
