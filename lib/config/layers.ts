/** The layers of settings in their order of precedence. */
import { readConfigFile } from './file.js';
import type { PresetName } from './presets.js';
import { type ConfigLayer, presetLayer } from './resolve.js';

export interface LayerOptions {
  preset?: PresetName | undefined;
  /** Path of a config file. */
  config?: string | undefined;
  /** Flags or API options. */
  keys: Readonly<Record<string, unknown>>;
  /** Path of the frozen config of a run that is continued: below all others. */
  frozen?: string | undefined;
}

/** Throws ConfigError for an unknown preset, or a file that is not a map. */
export async function configLayers({ preset, config, keys, frozen }: LayerOptions): Promise<ConfigLayer[]> {
  return [
    ...(frozen === undefined ? [] : [await readConfigFile(frozen)]),
    ...(preset === undefined ? [] : [presetLayer(preset)]),
    ...(config === undefined ? [] : [await readConfigFile(config)]),
    { source: '', values: keys },
  ];
}
