/** Flags of `train` that tell what would happen, and let nothing happen. */
import type { PresetName } from '../config/presets.js';
import { RunFolder } from '../training/run-folder.js';
import { configFromFlags } from './flags.js';
import { printConfig } from './print-config.js';

const group = 'Look before:';

export const planFlags = {
  'print-config': {
    type: 'boolean',
    default: false,
    group,
    describe: 'Print every setting and where it comes from, as a config file, and leave; with --json as JSON',
  },
} as const;

export interface PlanArguments {
  data: string;
  out: string;
  preset: string | undefined;
  config: string | undefined;
  resume: boolean;
  json: boolean;
  quiet: boolean;
  'print-config': boolean;
}

/** Does what one of the flags asks for; whether there was one. */
export async function showPlan(argv: PlanArguments): Promise<boolean> {
  if (!argv['print-config']) return false;
  const frozen = argv.resume ? (await RunFolder.find(argv.out))?.config : undefined;
  const preset = argv.preset as PresetName | undefined;
  const keys = configFromFlags({ ...argv });
  await printConfig({ preset, config: argv.config, keys, frozen }, argv.json);
  return true;
}
