import type { CommandModule } from 'yargs';
import { loadAddon } from '../native.js';
import { parseCudaChoice } from '../setup/cuda.js';
import { duration, progressPrinter, setup } from '../setup/index.js';

interface SetupArguments {
  force: boolean;
  cuda: string | undefined;
  json: boolean;
}

const SOURCES = {
  environment: 'named by SAN_NATIVE_LIBTORCH',
  cache: 'fetched earlier',
  python: 'of the torch that python3 imports',
  fetched: 'fetched now',
} as const;

export const setupCommand: CommandModule<object, SetupArguments> = {
  command: 'setup',
  describe: 'Find or fetch LibTorch and build the native addon',
  builder: (yargs) =>
    yargs
      .option('force', { type: 'boolean', default: false, describe: 'Build again from scratch' })
      .option('cuda', {
        type: 'string',
        requiresArg: true,
        defaultDescription: 'SAN_NATIVE_CUDA, else auto',
        describe:
          'CUDA variant: auto builds it where LibTorch has a CUDA library and there is an nvcc, on demands both and fetches such a LibTorch, off leaves it',
      })
      .option('json', { type: 'boolean', default: false, describe: 'Print the result as JSON' }),
  async handler({ force, cuda, json }) {
    const start = performance.now();
    const printer = progressPrinter(process.stderr);
    const result = await setup({
      force,
      cuda: parseCudaChoice('--cuda', cuda),
      onProgress: printer.onProgress,
    }).finally(printer.close);
    const seconds = (performance.now() - start) / 1000;
    if (json) {
      console.log(JSON.stringify({ ...result, seconds }, null, 2));
      return;
    }
    const { libtorch, addon, built } = result;
    console.log(`LibTorch ${libtorch.version}, ${SOURCES[libtorch.source]}: ${libtorch.path}`);
    const { cuda: variant } = loadAddon().info();
    console.log(variant.built ? 'CUDA variant' : `Variant for the processor alone: ${variant.fault}`);
    console.log(`Addon, ${built ? `built in ${duration(seconds)}` : 'up to date'}: ${addon}`);
  },
};
