/** Set-up: finds or fetches LibTorch and builds the addon against it. Does nothing that is already done. */
import { addonPath, packageRoot } from '../native.js';
import { buildAddon } from './build.js';
import { type CudaChoice, cudaChoice } from './cuda.js';
import { type Attempt, findLibTorch, type LibTorch } from './libtorch.js';
import type { OnProgress } from './progress.js';

export type { Attempt, LibTorch } from './libtorch.js';
export { duration, type OnProgress, type ProgressEvent, progressPrinter } from './progress.js';

export interface SetupOptions {
  /** Build from scratch, even if the addon is up to date. */
  force?: boolean;
  /**
   * CUDA variant: auto builds it where LibTorch has a CUDA library and there is an nvcc; on demands both, and fetches a
   * LibTorch of CUDA if none is found; off builds for the processor alone. Default SAN_NATIVE_CUDA, else auto.
   */
  cuda?: CudaChoice | undefined;
  onProgress?: OnProgress;
}

export interface SetupResult {
  libtorch: LibTorch;
  /** Path of the addon. */
  addon: string;
  /** Whether the addon was built now; false when the one from earlier was up to date. */
  built: boolean;
  /** The places that were looked in for LibTorch, in order. */
  attempts: Attempt[];
}

export async function setup(options: SetupOptions = {}): Promise<SetupResult> {
  const { force = false, onProgress = () => {} } = options;
  const root = packageRoot();
  const cuda = options.cuda ?? cudaChoice(process.env);
  const { libtorch, attempts } = await findLibTorch({ onProgress, cuda });
  const built = await buildAddon({ root, libtorch, cuda, force, onProgress });
  return { libtorch, addon: addonPath(root), built, attempts };
}
