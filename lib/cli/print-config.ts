import { latentNote } from '../config/latent-note.js';
import { configLayers, type LayerOptions } from '../config/layers.js';
import { configAsJson, configAsYaml } from '../config/print.js';
import { resolveWithOrigins } from '../config/resolve.js';
import { flagName } from './flags.js';
import { warn } from './warn.js';

/**
 * Prints the settings that training would use, and where each comes from: YAML that --config takes, or JSON. Needs
 * neither data nor addon.
 */
export async function printConfig(
  options: LayerOptions,
  { json, quiet }: { json: boolean; quiet: boolean },
): Promise<void> {
  const resolved = resolveWithOrigins(await configLayers(options));
  const flag = (key: string) => `flag --${flagName(key)}`;
  const text = json
    ? `${JSON.stringify(configAsJson(resolved, flag), null, 2)}\n`
    : configAsYaml(resolved, flag);
  const note = latentNote(resolved);
  if (note !== undefined && !quiet) warn(note);
  process.stdout.write(text);
}
