import { type Device, loadAddon } from '../lib/native.js';
import type { Round } from './worker.js';

/** Most memory that tensors of this process held on a GPU; nothing on the processor, where the process's peak counts. */
export async function peakOn(device: Device): Promise<Pick<Round, 'peakMemory'>> {
  if (device === 'cpu') return {};
  const { peak } = await loadAddon().deviceMemory({ device });
  return { peakMemory: peak };
}
