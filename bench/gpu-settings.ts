import { presets } from '../lib/config/presets.js';
import type { Device } from '../lib/native.js';
import type { Setting } from './training.js';

/** What a GPU is measured with: the preset of an image size, or that of the nearest size. */
export function settingAt(size: number, quick: boolean): Setting {
  if (quick) return { name: 'quickstart', values: { ...presets.quickstart, imageSize: size, batchSize: 4 } };
  const named = size >= 256 ? '256' : size >= 128 ? '128' : size >= 64 ? '64' : '32';
  return { name: `preset ${named}`, values: { ...presets[named], imageSize: size } };
}

/** How torch.compile is asked for on a device: tuning by trial is for GPUs, and takes an age on a processor. */
export const compileMode = (device: Device): true | 'max-autotune' =>
  device === 'cpu' ? true : 'max-autotune';
