import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { type Inspection, inspectCheckpoint } from '../inspect/inspect.js';
import { bytes, longDuration, significant } from './format.js';
import { aligned } from './table.js';
import { warnDamaged } from './warn.js';

interface InspectArguments {
  checkpoint: string;
  tensors: boolean;
  json: boolean;
}

export const inspectCommand: CommandModule<object, InspectArguments> = {
  command: 'inspect <checkpoint>',
  describe: 'Show what is in a checkpoint, without LibTorch',
  builder: (yargs) =>
    yargs
      .positional('checkpoint', {
        type: 'string',
        demandOption: true,
        describe: 'Run folder or checkpoint file',
      })
      .options({
        tensors: { type: 'boolean', default: false, describe: 'Every tensor with its shape and size' },
        json: { type: 'boolean', default: false, describe: 'One JSON object on stdout' },
      })
      .example('$0 inspect runs/photos', 'The newest checkpoint of a run')
      .example('$0 inspect runs/photos/checkpoints/step-002000.safetensors --tensors', 'Tensor by tensor')
      .example('$0 inspect runs/photos --json', 'All of it, for a program'),
  handler: run,
};

async function run({ checkpoint, tensors, json }: ArgumentsCamelCase<InspectArguments>): Promise<void> {
  const inspection = await inspectCheckpoint(checkpoint);
  warnDamaged(inspection.damaged);
  const text = json
    ? JSON.stringify(inspection)
    : [...head(inspection), ...parameterTable(inspection), ...(tensors ? tensorTable(inspection) : [])].join(
        '\n',
      );
  process.stdout.write(`${text}\n`);
}

const grouped = new Intl.NumberFormat('en');
const number = (value: number): string => grouped.format(value);

function head(inspection: Inspection): string[] {
  const { config, metrics, step, skipped, averaged, resumable } = inspection;
  const { imageSize, imageChannels, latentChannels, latentSize, widths, strides } = config;
  const measured = Object.entries(metrics).map(([name, { step: at, value }]) => {
    const when = at === step ? '' : ` (step ${at})`;
    return `${name} ${significant(value)}${when}`;
  });
  const rows: [string, string][] = [
    ['checkpoint', inspection.path],
    ['size', `${bytes(inspection.bytes)}, ${inspection.tensors.length} tensors`],
    ['SHA-256', inspection.checksum],
    ['step', `${number(step)} of ${number(config.steps)}${skipped > 0 ? `, ${skipped} skipped` : ''}`],
    ['trained', `${number(inspection.images)} images in ${longDuration(inspection.seconds)}`],
    ['data', inspection.dataHash],
    ['images', `${imageSize}×${imageSize}, ${imageChannels === 1 ? 'grey' : 'colour'}`],
    ['latents', `${latentChannels}×${latentSize}×${latentSize}`],
    ['widths', widths.join(' ')],
    ['strides', strides.join(' ')],
    ['generator', averaged ? 'with its moving average' : 'without a moving average'],
    ['resumable', resumable ? "yes, with the optimizer's moments" : "no, it lacks the optimizer's moments"],
    ['measured', measured.length === 0 ? 'nothing: no metrics.jsonl beside it' : measured.join(', ')],
  ];
  return rows.map(([name, text]) => `${name.padEnd(12)}${text}`);
}

function parameterTable({ parameters: { parts, total } }: Inspection): string[] {
  const rows = [
    ['parameters', 'shared', 'generator', 'reverser', 'total'],
    ...[...parts, total].map((row) => [
      row.part,
      ...[row.shared, row.generator, row.reverser, row.total].map(number),
    ]),
  ];
  return ['', ...aligned(rows, 1)];
}

function tensorTable({ tensors }: Inspection): string[] {
  const rows = [
    ['tensor', 'type', 'shape', 'rms', 'largest'],
    ...tensors.map(({ name, dtype, shape, rms, largest }) => [
      name,
      dtype,
      `[${shape.join(', ')}]`,
      significant(rms),
      significant(largest),
    ]),
  ];
  return ['', ...aligned(rows, 3)];
}
