import type { ArgumentsCamelCase, CommandModule, Options } from 'yargs';
import { LARGER_IS_BETTER, ONE_IS_BEST } from '../config/schema.js';
import { type EvaluateOptions, type Evaluation, evaluate } from '../metrics/evaluate.js';
import { configFlags, configFromFlags, toNumber } from './flags.js';
import { longWork } from './long-work.js';
import { warnDamaged, warnSkipped } from './warn.js';
import { sanFlags } from './with-san.js';

interface EvaluateArguments {
  checkpoint: string;
  data: string;
  count: unknown;
  json: boolean;
  quiet: boolean;
}

/** A config key's flag, in this command's own list. */
function flag(name: string, defaultDescription = configFlags[name]?.defaultDescription): Options {
  const { describe } = configFlags[name] ?? {};
  return { requiresArg: true, describe, defaultDescription };
}

export const evaluateCommand: CommandModule<object, EvaluateArguments> = {
  command: 'evaluate <checkpoint> <data>',
  describe: 'Measure a trained network against images',
  builder: (yargs) => {
    const command = yargs
      .positional('checkpoint', {
        type: 'string',
        demandOption: true,
        describe: 'Run folder or checkpoint file',
      })
      .positional('data', {
        type: 'string',
        demandOption: true,
        describe: 'Folder, archive or file of images',
      })
      .options({
        count: {
          requiresArg: true,
          defaultDescription: "the run's metricCount",
          describe: 'Generated images, and real ones at most',
        },
        json: { type: 'boolean', default: false, describe: 'One JSON object on stdout' },
        quiet: { type: 'boolean', default: false, describe: 'No progress and no warnings' },
      })
      .example('$0 evaluate runs/photos photos', 'All that needs no extractor')
      .example('$0 evaluate runs/photos photos --metrics swd --json', 'One of them, as JSON')
      .example('$0 evaluate runs/photos photos --extractor inception.pt', 'With FD, KID and the rest');
    // Apart from the chain, whose type would lose all names in that of a record.
    command.options({
      metrics: flag('metrics', 'all that can be had'),
      seed: flag('seed', "the run's"),
      extractor: flag('extractor'),
      'extractor-size': flag('extractor-size'),
      'extractor-range': flag('extractor-range'),
      threads: flag('threads'),
      device: { ...flag('device'), describe: sanFlags.device.describe },
    });
    return command;
  },
  handler: run,
};

async function run(argv: ArgumentsCamelCase<EvaluateArguments>): Promise<void> {
  const { checkpoint, data, count, json, quiet } = argv;
  const options = {
    ...configFromFlags(argv),
    checkpoint,
    data,
    ...(count !== undefined && { count: toNumber(String(count)) }),
  } as EvaluateOptions;
  const evaluation = await longWork(quiet, (control) => evaluate(options, control));
  if (!quiet) {
    warnDamaged(evaluation.damaged);
    warnSkipped(evaluation.skipped);
  }
  process.stdout.write(json ? `${JSON.stringify(evaluation)}\n` : table(evaluation));
}

/** Name, value and the better direction of each metric, then what was measured. */
function table(evaluation: Evaluation): string {
  const { metrics, generatedCount, realCount, seed, step, checkpoint } = evaluation;
  const rows = Object.entries(metrics).map(([name, value]) => ({ name, value: value.toPrecision(4) }));
  const width = (key: 'name' | 'value') => Math.max(...rows.map((row) => row[key].length));
  const [nameWidth, valueWidth] = [width('name'), width('value')];
  const lines = rows.map(({ name, value }) => {
    const better = ONE_IS_BEST.has(name) ? '1' : LARGER_IS_BETTER.has(name) ? 'higher' : 'lower';
    return `${name.padEnd(nameWidth)}  ${value.padStart(valueWidth)}  ${better} is better`;
  });
  lines.push(
    `${generatedCount} generated and ${realCount} real images, seed ${seed}, step ${step}, ${checkpoint}`,
  );
  return `${lines.join('\n')}\n`;
}
