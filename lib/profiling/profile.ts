/** Profiles of what the native half does: a Chrome trace, and where the time went. */

import { SanError } from '../errors.js';
import { type Addon, loadAddon, type MeasuredOn, type NativeProfile, type Peak } from '../native.js';
import { requireKeys, requirePath } from '../options.js';
import { type ProfileSummary, summarise } from './summary.js';
import { writeTrace } from './trace.js';

/** Floating-point operations against what the machine can do. */
export interface Arithmetic {
  /** Operations that the work took, by the settings: convolutions and linear layers. */
  flops: number;
  /** Operations a second in the time recorded; on a GPU, in its own time. */
  rate: number;
  /** What this machine, or the GPU, was measured to do. */
  peak: Peak;
}

export interface Profile extends ProfileSummary {
  /** The trace that was written. */
  path: string;
  /** What was recorded, such as "steps 4 to 13". */
  what: string;
  /** Where the operations are known. */
  arithmetic?: Arithmetic;
  /** Events that were not kept, for there were more than two million. */
  dropped: number;
}

export interface ProfileOptions<T = unknown> {
  /** File for the Chrome trace. */
  path: string;
  /** Said in the trace and the summary. Default "all". */
  what?: string | undefined;
  /** Floating-point operations of the work; the summary then sets them against the machine's peak. */
  flops?: number | ((result: T) => number) | undefined;
  /** CPU threads of the work, which the peak is measured with. Default physical cores: docs/threads.md. */
  threads?: number | undefined;
  /** Where the work is done and in what precision, as of the peak. Default the processor, fp32. */
  device?: MeasuredOn['device'] | undefined;
  precision?: MeasuredOn['precision'] | undefined;
}

/**
 * Runs `work` and records all that the native half does meanwhile, for whomever, then writes the trace. Recording costs
 * some microseconds an operation. Throws ERR_SAN_OPTIONS, what `work` throws, and OutputError.
 */
export async function profile<T>(
  options: ProfileOptions<T>,
  work: () => Promise<T>,
): Promise<{ result: T; profile: Profile }> {
  requireKeys(options, ['path', 'what', 'flops', 'threads', 'device', 'precision']);
  requirePath('path', options.path);
  if (typeof work !== 'function') {
    const message = 'profile() needs a function to record: profile({ path }, () => san.generate(...))';
    throw new SanError('ERR_SAN_OPTIONS', message, { field: 'work', value: work });
  }
  const addon = loadAddon();
  await addon.startProfile();
  let result: T;
  let recorded: NativeProfile | undefined;
  try {
    result = await work();
  } finally {
    recorded = await addon.stopProfile();
  }
  const { flops } = options;
  const known = typeof flops === 'function' ? flops(result) : flops;
  return { result, profile: await writeProfile(addon, recorded, { ...options, flops: known }) };
}

/** Summary and trace of what was recorded. Throws OutputError. */
export async function writeProfile(
  addon: Pick<Addon, 'measurePeak'>,
  recorded: NativeProfile,
  options: Omit<ProfileOptions, 'flops'> & { flops?: number | undefined },
): Promise<Profile> {
  const { path, what = 'all', flops } = options;
  const summary = summarise(recorded);
  const arithmetic = flops !== undefined && {
    flops,
    rate: flops / (summary.onDevice?.seconds ?? summary.seconds),
    peak: await addon.measurePeak(measuredOn(options)),
  };
  const described = { what, ...summary, ...(arithmetic && { arithmetic }), dropped: recorded.dropped };
  await writeTrace(path, recorded, described);
  return { path, ...described };
}

const measuredOn = ({ threads, device, precision }: Omit<ProfileOptions, 'flops'>): MeasuredOn => ({
  ...(threads !== undefined && { threads }),
  ...(device !== undefined && { device }),
  // On a processor numbers of any precision are computed with in float32.
  ...(device !== 'cpu' && precision !== undefined && { precision }),
});
