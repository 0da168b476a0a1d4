import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { manifestPath } from '../data/prepared/manifest.js';
import { type Prepared, prepare } from '../data/prepared/prepare.js';
import { ExitStatus } from './exit-status.js';
import { configFromFlags } from './flags.js';
import { formatFlags } from './format-flags.js';
import { longWork } from './long-work.js';
import { skippedLines } from './skipped.js';

interface PrepareArguments {
  source: string;
  out: string;
  force: boolean;
  json: boolean;
  quiet: boolean;
}

export const prepareCommand: CommandModule<object, PrepareArguments> = {
  command: 'prepare <source>',
  describe: 'Make one .npy file of all images of a source',
  builder: (yargs) => {
    const command = yargs
      .positional('source', {
        type: 'string',
        demandOption: true,
        describe: 'Folder, archive or file of images: whatever train takes',
      })
      .options({
        out: {
          alias: 'o',
          type: 'string',
          requiresArg: true,
          demandOption: true,
          describe: 'File to make; its name ends in .npy',
        },
        force: { type: 'boolean', default: false, describe: 'Replace a file that is there' },
        json: { type: 'boolean', default: false, describe: 'One JSON object on stdout' },
        quiet: { type: 'boolean', default: false, describe: 'Say nothing but errors' },
      })
      .example('$0 prepare photos --size 64 --out photos.npy', 'Then: train photos.npy --image-size 64')
      .example('$0 prepare scans.zip --size 128 --crop contain --out scans.npy', 'Whole images, none cut')
      .epilogue('Given again after it was broken off, the same command goes on from there.');
    // Apart from the chain, whose type would lose all names in that of a record.
    command.options(formatFlags);
    return command;
  },
  handler: run,
};

async function run(argv: ArgumentsCamelCase<PrepareArguments>): Promise<void> {
  const { source, out, force, json, quiet } = argv;
  const options = { ...configFromFlags(argv), source, out, force };
  const prepared = await longWork(quiet, ({ signal, onProgress }) =>
    prepare(options, {
      signal,
      onProgress: ({ done, total }) => onProgress?.('preparing images', done, total ?? 0),
    }),
  ).catch((error: unknown) => {
    if (error instanceof ExitStatus && !quiet) {
      process.stderr.write('broken off; the same command goes on from here\n');
    }
    throw error;
  });
  if (json) process.stdout.write(`${JSON.stringify(summary(prepared))}\n`);
  else if (!quiet) process.stdout.write(`${lines(prepared).join('\n')}\n`);
}

/** Labels and names are in the manifest; here they would hide the rest. */
function summary({ labels, names: _, offset: _offset, ...rest }: Prepared) {
  return { ...rest, manifest: manifestPath(rest.path), labelled: labels !== undefined };
}

function lines({ path, shape, written, classes, labels, skipped }: Prepared): string[] {
  const [count, size, , channels] = shape;
  const kinds =
    classes === undefined ? (labels === undefined ? '' : ', with labels') : `, ${classes.length} classes`;
  return [
    `${count} images of ${size}×${size}×${channels}${kinds} in ${path}${written ? '' : ', which was up to date'}`,
    ...skippedLines(skipped, manifestPath(path)),
  ];
}
