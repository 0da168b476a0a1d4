import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { reverseImages } from '../reverser/reverse.js';
import { printResult } from './result.js';
import { dataPositional, outFlag, runPositional, type SanArguments, sanFlags, withSan } from './with-san.js';

interface ReverseArguments extends SanArguments {
  data: string;
  out: string;
  names: string | undefined;
}

export const reverseCommand: CommandModule<object, ReverseArguments> = {
  command: 'reverse <run> <data>',
  describe: 'Find the latents of images',
  builder: (yargs) =>
    yargs
      .positional('run', runPositional)
      .positional('data', dataPositional)
      .options({
        out: outFlag('.npy file: float32 (N, Zc, Sz, Sz)'),
        names: { type: 'string', requiresArg: true, describe: '.csv file: row and name of each image' },
        ...sanFlags,
      })
      .example('$0 reverse runs/photos photos --out latents.npy', 'One row an image')
      .example('$0 reverse runs/photos photos -o z.npy --names z.csv', 'With the rows of the files'),
  handler: run,
};

async function run(argv: ArgumentsCamelCase<ReverseArguments>): Promise<void> {
  const { data, out, names } = argv;
  const options = { data, out, ...(names !== undefined && { names }) };
  const result = await withSan(argv, (san, control) => reverseImages(san, options, control));
  printResult(argv, result, ({ shape }) => [`${out}  float32 [${shape.join(', ')}]`]);
}
