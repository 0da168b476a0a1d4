/** Flags of `train` that tell what would happen, and let nothing happen. */
import type { PresetName } from '../config/presets.js';
import { UsageError } from '../errors.js';
import { refuseOverInput } from '../output-place.js';
import { previewAugmentation } from '../training/preview-augmentation.js';
import { RunFolder } from '../training/run-folder.js';
import { printDryRun } from './dry-run.js';
import { configFromFlags } from './flags.js';
import { requirePng, writePicture } from './picture.js';
import { printConfig } from './print-config.js';
import { createReporter } from './progress.js';

const group = 'Look before:';

export const planFlags = {
  'print-config': {
    type: 'boolean',
    default: false,
    group,
    describe: 'Print every setting and where it comes from, as a config file, and leave; with --json as JSON',
  },
  'dry-run': {
    type: 'boolean',
    default: false,
    group,
    describe: 'Print sizes, memory, speed and the expected end after a few steps, and leave',
  },
  'preview-augment': {
    type: 'string',
    requiresArg: true,
    group,
    describe: 'Draw to a PNG what training will see, images and variants in rows, and leave',
  },
} as const;

export interface PlanArguments {
  data: string;
  out: string | undefined;
  preset: string | undefined;
  config: string | undefined;
  resume: boolean;
  json: boolean;
  quiet: boolean;
  'print-config': boolean;
  'dry-run': boolean;
  'preview-augment': string | undefined;
}

/** Whether one of the flags was given. */
export const wantsPlan = (argv: PlanArguments): boolean =>
  argv['print-config'] || argv['dry-run'] || argv['preview-augment'] !== undefined;

/** Does what one of the flags asks for; whether there was one. */
export async function showPlan(argv: PlanArguments): Promise<boolean> {
  requireOnePlan(argv);
  const { data, out, resume, config } = argv;
  const preset = argv.preset as PresetName | undefined;
  const keys = configFromFlags({ ...argv });
  if (argv['print-config']) {
    const frozen = resume && out !== undefined ? (await RunFolder.find(out))?.config : undefined;
    await printConfig({ preset, config, keys, frozen }, argv);
  } else if (argv['dry-run']) {
    await printDryRun({ ...keys, data, out, resume, preset, config }, argv);
  } else if (argv['preview-augment'] !== undefined) {
    await drawPreview({ ...keys, data, preset, config }, argv);
  } else {
    return false;
  }
  return true;
}

/** Throws UsageError for flags of which each would be the only thing done. */
function requireOnePlan(argv: PlanArguments): void {
  const given = (Object.keys(planFlags) as (keyof typeof planFlags)[]).filter((name) => argv[name]);
  if (given.length < 2) return;
  throw new UsageError(
    `${given.map((name) => `--${name}`).join(' and ')}: each leaves afterwards; choose one`,
  );
}

async function drawPreview(
  options: Parameters<typeof previewAugmentation>[0],
  { json, quiet, 'preview-augment': path = '' }: PlanArguments,
): Promise<void> {
  requirePng('preview-augment', path);
  await refuseOverInput(path, options.data, 'preview-augment');
  const reporter = createReporter({ json: false, quiet: json || quiet });
  try {
    await writePicture(path, await previewAugmentation(options, { onLoad: (tick) => reporter.tick(tick) }));
  } finally {
    reporter.close();
  }
  if (json) process.stdout.write(`${JSON.stringify({ wrote: path })}\n`);
  else if (!quiet) process.stderr.write(`wrote ${path}\n`);
}
