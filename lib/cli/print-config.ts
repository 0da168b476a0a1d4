import { configLayers, type LayerOptions } from '../config/layers.js';
import { configAsJson, configAsYaml } from '../config/print.js';
import { resolveWithOrigins } from '../config/resolve.js';
import { flagName } from './flags.js';

/**
 * Prints the settings that training would use, and where each comes from: YAML that --config takes, or JSON. Needs
 * neither data nor addon.
 */
export async function printConfig(options: LayerOptions, json: boolean): Promise<void> {
  const resolved = resolveWithOrigins(await configLayers(options));
  const flag = (key: string) => `flag --${flagName(key)}`;
  const text = json
    ? `${JSON.stringify(configAsJson(resolved, flag), null, 2)}\n`
    : configAsYaml(resolved, flag);
  process.stdout.write(text);
}
