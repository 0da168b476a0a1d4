/** Our kernels beside the time that their memory traffic takes at the speed of a copy. */
import type { KernelTime } from '../../lib/native.js';
import { type BenchCase, nodeContender, type Table } from '../case.js';
import type { DeviceFacts } from '../contenders/device.js';
import { settingAt } from '../gpu-settings.js';
import { factsOf } from '../process.js';

/** Of an image tensor: far beyond the cache of any GPU. */
const BYTES = 256 * 2 ** 20;
const QUICK_BYTES = 2 ** 18;
/** Of the parameters that are updated. */
const SIZE = 256;

const kernels: BenchCase = {
  description: 'our kernels beside the speed of a copy',
  sizes: [],
  async *comparisons({ device, threads, quick }) {
    // The processor's are of float32 alone.
    const precisions = device === 'cpu' ? (['fp32'] as const) : (['bf16', 'fp32'] as const);
    for (const precision of precisions) {
      const facts = (await factsOf(
        nodeContender('kernels', 'device', {
          device,
          threads,
          precision,
          bytes: quick ? QUICK_BYTES : BYTES,
          settings: settingAt(quick ? 16 : SIZE, quick).values,
        }),
      )) as unknown as DeviceFacts;
      yield tableOf(precision, facts);
    }
  },
};
export default kernels;

function tableOf(precision: string, { peak, kernels = [] }: DeviceFacts): Table {
  const row = ({ name, bytes, seconds }: KernelTime): string[] => {
    const floor = bytes / peak.copy;
    return [
      name,
      (bytes / 1e6).toFixed(1),
      microseconds(floor),
      microseconds(seconds),
      (bytes / seconds / 1e9).toFixed(0),
      `${((100 * floor) / seconds).toFixed(0)} %`,
    ];
  };
  return {
    label: `activations in ${precision}`,
    head: ['', 'MB', 'floor, µs', 'measured, µs', 'GB/s', 'of a copy'],
    rows: kernels.map(row),
    lines: [
      `a copy moves ${(peak.copy / 1e9).toFixed(0)} GB/s; products take ${(peak.matmul / 1e12).toFixed(2)} TFLOP/s, convolutions at best ${(peak.convolution / 1e12).toFixed(2)}`,
    ],
    data: { precision, peak, kernels },
  };
}

const microseconds = (seconds: number): string => (seconds * 1e6).toFixed(1);
