import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { type DataReport, inspectData, type Tally } from '../data/inspect.js';
import { encodeGrid } from '../generation/grid.js';
import type { ImageBatch } from '../native.js';
import { refuseOverInput } from '../output-place.js';
import { printable } from '../shown.js';
import { configFromFlags } from './flags.js';
import { bytes } from './format.js';
import { formatFlags } from './format-flags.js';
import { longWork } from './long-work.js';
import { requirePng, writePicture } from './picture.js';

interface DataArguments {
  source: string;
  sheet: string | undefined;
  mean: string | undefined;
  json: boolean;
  quiet: boolean;
}

/** Entries of a list that are shown. */
const SHOWN = 10;

export const dataCommand: CommandModule<object, DataArguments> = {
  command: 'data <source>',
  describe: 'Tell what is in a source of images, and what would be skipped',
  builder: (yargs) => {
    const command = yargs
      .positional('source', {
        type: 'string',
        demandOption: true,
        describe: 'Folder, archive or file of images: whatever train takes',
      })
      .options({
        sheet: { type: 'string', requiresArg: true, describe: 'PNG file to make: 64 images on one sheet' },
        mean: { type: 'string', requiresArg: true, describe: 'PNG file to make: the mean of all images' },
        json: { type: 'boolean', default: false, describe: 'One JSON object on stdout' },
        quiet: { type: 'boolean', default: false, describe: 'No progress' },
      })
      .example('$0 data photos', 'Counts, sizes, colours, classes, duplicates, what would be skipped')
      .example(
        '$0 data photos.zip --sheet sheet.png --crop contain',
        'What training would see, on one sheet',
      );
    // Apart from the chain, whose type would lose all names in that of a record.
    command.options(formatFlags);
    return command;
  },
  handler: run,
};

async function run(argv: ArgumentsCamelCase<DataArguments>): Promise<void> {
  const { source, sheet, mean, json, quiet } = argv;
  requirePng('sheet', sheet);
  requirePng('mean', mean);
  if (sheet !== undefined) await refuseOverInput(sheet, source, 'sheet');
  if (mean !== undefined) await refuseOverInput(mean, source, 'mean');
  const options = { ...configFromFlags(argv), source };
  const {
    sheet: images,
    mean: average,
    ...report
  } = await longWork(quiet, ({ signal, onProgress }) =>
    inspectData(options, {
      signal,
      onProgress: (done, total) => onProgress?.('reading images', done, total ?? 0),
    }),
  );
  const wrote = [...(await draw(sheet, images)), ...(await draw(mean, average))];
  process.stdout.write(
    json
      ? `${JSON.stringify({ ...report, wrote })}\n`
      : `${[...lines(report), ...wrote].map(printable).join('\n')}\n`,
  );
}

/** The path of the picture, if one was made. */
async function draw(path: string | undefined, images: ImageBatch | undefined): Promise<string[]> {
  if (path === undefined || images === undefined) return [];
  await writePicture(path, await encodeGrid(images));
  return [path];
}

function lines(report: Omit<DataReport, 'mean' | 'sheet'>): string[] {
  const { source, images, skipped, width, height, alpha, labels, duplicates } = report;
  const line = (label: string, text: string) => `${label.padEnd(12)} ${text}`;
  const facts = [
    line('images', `${images} in ${source.path} (${source.kind}), ${bytes(report.bytes)}`),
    line('formats', tally(report.formats)),
    line('sizes', tally(report.sizes)),
    line('width', `${width.min} to ${width.max} pixels`),
    line('height', `${height.min} to ${height.max} pixels`),
    line('colours', `${tally(report.colours)}; ${alpha} with transparency`),
    line('mean colour', report.meanColour.map((value) => value.toFixed(1)).join(', ')),
    ...(labels ? [line('classes', `${Object.keys(labels).length}: ${tally(labels)}`)] : []),
    line('duplicates', duplicates.count === 0 ? 'none' : `${duplicates.count} of earlier images`),
    ...duplicates.examples.map(({ path, of }) => `  ${path} = ${of}`),
    ...(duplicates.count > duplicates.examples.length ? ['  ...'] : []),
  ];
  return [
    ...(images === 0 ? facts.slice(0, 1) : facts),
    line('skipped', skipped.length === 0 ? 'none' : `${skipped.length}:`),
    ...reasons(skipped),
  ];
}

/** The reasons, the commonest first, each with a few of the files. */
function reasons(skipped: DataReport['skipped']): string[] {
  const paths = new Map<string, string[]>();
  for (const { path, reason } of skipped) {
    const same = paths.get(reason);
    if (same) same.push(path);
    else paths.set(reason, [path]);
  }
  return [...paths]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(
      ([reason, all]) =>
        `  ${all.length}: ${reason} (${all.slice(0, 3).join(', ')}${all.length > 3 ? ', ...' : ''})`,
    );
}

function tally(counts: Tally): string {
  const all = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return all.length > SHOWN
    ? `${all.slice(0, SHOWN).join(', ')} and ${all.length - SHOWN} more`
    : all.join(', ');
}
