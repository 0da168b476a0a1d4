import { setImmediate } from 'node:timers/promises';
import type { NativeTensor } from '../native.js';

/** Name of the first tensor with a NaN or an infinity. Lets other work in between, for there may be many tensors. */
export async function firstNonFinite(tensors: readonly NativeTensor[]): Promise<string | undefined> {
  for (const tensor of tensors) {
    if (!allFinite(tensor)) return tensor.name;
    await setImmediate();
  }
  return undefined;
}

function allFinite({ dtype, data }: NativeTensor): boolean {
  const { buffer, byteOffset, byteLength } = data;
  const values =
    dtype === 'float64'
      ? new Float64Array(buffer, byteOffset, byteLength / 8)
      : new Float32Array(buffer, byteOffset, byteLength / 4);
  // Zero times anything finite is zero: one addition a number, several times as fast as a call for each.
  let sum = 0;
  for (const value of values) sum += 0 * value;
  return sum === 0;
}
