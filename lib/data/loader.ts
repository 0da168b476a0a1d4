import { type LoaderOptions, loadAddon, type NativeLoader } from '../native.js';

/**
 * Batches of training images for programs of their own, such as other models and benchmarks: shuffled, augmented,
 * normalised, made ahead on other threads, and the same for one seed. Rejects with NativeError.
 */
export const createLoader = async (options: LoaderOptions): Promise<NativeLoader> =>
  loadAddon().createLoader(options);
