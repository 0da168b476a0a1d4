import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { reconstructImages } from '../reverser/reconstruct.js';
import { significant } from './format.js';
import { printResult } from './result.js';
import {
  countFlag,
  dataPositional,
  outFlag,
  runPositional,
  type SanArguments,
  sanFlags,
  wholeNumbers,
  withSan,
} from './with-san.js';

interface ReconstructArguments extends SanArguments {
  data: string;
  out: string;
  count: unknown;
  columns: unknown;
}

export const reconstructCommand: CommandModule<object, ReconstructArguments> = {
  command: 'reconstruct <run> <data>',
  describe: 'Draw images beside what comes back from their latents',
  builder: (yargs) =>
    yargs
      .positional('run', runPositional)
      .positional('data', dataPositional)
      .options({
        out: outFlag('.png file: each row of images over the row of their reconstructions'),
        count: countFlag('32', 'Images at most, evenly spread over the data'),
        columns: countFlag('8', 'Images in a row'),
        ...sanFlags,
      })
      .example('$0 reconstruct runs/photos photos --out sheet.png', '32 of them')
      .example('$0 reconstruct runs/photos holiday --out sheet.png --count 64 --json', 'With the errors'),
  handler: run,
};

async function run(argv: ArgumentsCamelCase<ReconstructArguments>): Promise<void> {
  const { data, out } = argv;
  const options = { data, out, ...wholeNumbers(argv, { count: ['count', 1], columns: ['columns', 1] }) };
  const result = await withSan(argv, (san, control) => reconstructImages(san, options, control));
  printResult(argv, result, ({ images, meanPixelError }) => [
    `${out}  ${images.length} images, mean pixel error ${significant(meanPixelError)}`,
  ]);
}
