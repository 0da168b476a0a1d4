import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { scoreImages } from '../reverser/score.js';
import { significant } from './format.js';
import { printResult } from './result.js';
import { dataPositional, outFlag, runPositional, type SanArguments, sanFlags, withSan } from './with-san.js';

interface ScoreArguments extends SanArguments {
  data: string;
  out: string;
  reference: string | undefined;
}

export const scoreCommand: CommandModule<object, ScoreArguments> = {
  command: 'score <run> <data>',
  describe: 'Score how unlike the training images others are',
  builder: (yargs) =>
    yargs
      .positional('run', runPositional)
      .positional('data', dataPositional)
      .options({
        out: outFlag('.csv file: name, score, pixel_error, relative_error, latent_norm'),
        reference: {
          type: 'string',
          requiresArg: true,
          defaultDescription: 'the training images',
          describe: 'Images that are as they should be',
        },
        ...sanFlags,
      })
      .example('$0 score runs/photos inbox --out scores.csv', 'Larger is less like the training images')
      .example('$0 score runs/photos inbox -o scores.csv --reference good', 'Less like those in good'),
  handler: run,
};

async function run(argv: ArgumentsCamelCase<ScoreArguments>): Promise<void> {
  const { data, out, reference } = argv;
  const options = { data, out, ...(reference !== undefined && { reference }) };
  const result = await withSan(argv, (san, control) => scoreImages(san, options, control));
  printResult(argv, result, ({ count, median, largest, reference: used }) => [
    `${out}  ${count} images, score ${significant(median)} in the median`,
    `most unusual: ${largest.name}, ${significant(largest.score)}`,
    `usual is what ${used.count} images of ${used.data} are`,
  ]);
}
