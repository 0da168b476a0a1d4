import type { CommandModule } from 'yargs';
import { cacheFolder } from '../cache-folder.js';
import { type CacheContent, cacheContent, clearCache } from '../data/prepared/cache.js';
import { bytes } from './format.js';

interface CacheArguments {
  action: 'list' | 'clear' | 'path';
  json: boolean;
}

export const cacheCommand: CommandModule<object, CacheArguments> = {
  command: 'cache [action]',
  describe: 'List or clear the images that train has prepared',
  builder: (yargs) =>
    yargs
      .positional('action', {
        choices: ['list', 'clear', 'path'] as const,
        default: 'list' as const,
        describe: 'List what is there, remove all of it, or print the folder',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object on stdout' })
      .example('$0 cache', 'What is there, the latest used first')
      .example('$0 cache clear', 'Make room; train makes again what it needs')
      .epilogue(
        'SAN_NATIVE_CACHE names another folder, SAN_NATIVE_CACHE_SIZE the size it is kept to, such as 500M; 20G when unset.',
      ),
  async handler({ action, json }) {
    if (action === 'path') print(json, { folder: cacheFolder() }, [cacheFolder()]);
    else if (action === 'clear') {
      const freed = await clearCache();
      print(json, { freed }, [`${bytes(freed)} freed in ${cacheFolder()}`]);
    } else {
      const content = await cacheContent();
      print(json, content, lines(content));
    }
  },
};

function print(json: boolean, value: unknown, text: readonly string[]): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text.join('\n')}\n`);
}

function lines({ folder, limit, bytes: total, sets, features }: CacheContent): string[] {
  return [
    ...sets.map(({ bytes: size, lastUse, source, shape }) => {
      const used = new Date(lastUse).toLocaleString('sv-SE', { dateStyle: 'short', timeStyle: 'short' });
      const what = source ? `${shape?.join('×')}  ${source.path}` : 'begun, not finished';
      return `${bytes(size).padStart(8)}  ${used}  ${what}`;
    }),
    `${sets.length} sets, ${bytes(total)} of ${bytes(limit)}, in ${folder}`,
    ...(features.files > 0 ? [`${bytes(features.bytes)} of features for metrics`] : []),
  ];
}
