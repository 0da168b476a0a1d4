/** Set-up: finds or fetches LibTorch and builds the addon against it. Does nothing that is already done. */
import { addonPath, packageRoot } from '../native.js';
import { buildAddon } from './build.js';
import { type Attempt, findLibTorch, type LibTorch } from './libtorch.js';
import type { OnProgress } from './progress.js';

export type { Attempt, LibTorch } from './libtorch.js';
export { duration, type OnProgress, type ProgressEvent, progressPrinter } from './progress.js';

export interface SetupOptions {
  /** Build from scratch, even if the addon is up to date. */
  force?: boolean;
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
  const { libtorch, attempts } = await findLibTorch({ onProgress });
  const built = await buildAddon({ root, libtorch, force, onProgress });
  return { libtorch, addon: addonPath(root), built, attempts };
}
