/** What training eats: its steps alone, on images that are already there. */
import { resolveConfig } from '../../lib/config/resolve.js';
import { loadAddon } from '../../lib/native.js';
import { trainerOptions } from '../../lib/training/trainer-options.js';
import type { OpenContender } from '../worker.js';

export interface AppetiteOptions {
  dataset: { path: string };
  /** Config keys. */
  settings: Record<string, unknown>;
}

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const { dataset, settings } = options as unknown as AppetiteOptions;
  const config = resolveConfig([{ source: '', values: settings }]);
  const addon = loadAddon();
  const trainer = await addon.createTrainer({ ...trainerOptions(config, addon), dataset });
  await trainer.run({ steps: 1 });
  return {
    facts: {},
    async round(items) {
      const steps = Math.ceil(items / config.batchSize);
      const { seconds } = await trainer.run({ steps });
      return { seconds, items: steps * config.batchSize };
    },
    close: () => trainer.dispose(),
  };
}
