import type { CommandModule } from 'yargs';
import { configJsonSchema } from '../config/json-schema.js';

export const schemaCommand: CommandModule = {
  command: 'schema',
  describe: 'Print the JSON Schema of config files, for editors',
  builder: (yargs) => yargs.example('$0 schema > san-native.schema.json', 'Keep it beside the config files'),
  handler: () => {
    process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  },
};
