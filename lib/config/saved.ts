/** Configs as runs and checkpoints keep them: those of older versions lack the keys that came later. */
import { readConfigFile } from './file.js';
import type { ConfigLayer } from './resolve.js';

/** What a run did before the key existed; its default may be another. */
const BEFORE = { checkerboardFree: false } as const;

/** The layer of a config that was saved with a run or a checkpoint; what is no map is left for resolveConfig() to refuse. */
export const savedLayer = (source: string, values: Readonly<Record<string, unknown>>): ConfigLayer => ({
  source,
  values: typeof values === 'object' && values !== null ? { ...BEFORE, ...values } : values,
});

/** That of a run's config file. Throws as readConfigFile(). */
export async function readSavedConfig(path: string): Promise<ConfigLayer> {
  const { source, values } = await readConfigFile(path);
  return savedLayer(source, values);
}
