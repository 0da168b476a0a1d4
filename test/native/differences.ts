import type { NativeTensor } from '../../lib/native.js';

function numbersOf({ dtype, data }: NativeTensor): Float64Array | Float32Array {
  const bytes = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  return dtype === 'float64' ? new Float64Array(bytes) : new Float32Array(bytes);
}

/** |a - b| / |a| over all numbers of two lists of the same tensors. */
export function relativeDifference(a: readonly NativeTensor[], b: readonly NativeTensor[]): number {
  let square = 0;
  let error = 0;
  for (const [i, tensor] of a.entries()) {
    const other = numbersOf(b[i] as NativeTensor);
    for (const [k, value] of numbersOf(tensor).entries()) {
      square += value ** 2;
      error += (value - (other[k] ?? Number.NaN)) ** 2;
    }
  }
  return Math.sqrt(error / square);
}
