import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { type ExportOptions, exportOnnx, NETWORKS, PIXELS } from '../export/export.js';
import { bytes } from './format.js';
import { warnDamaged } from './warn.js';

interface ExportArguments {
  checkpoint: string;
  out: string;
  network: string | undefined;
  pixels: string;
  json: boolean;
  quiet: boolean;
}

export const exportCommand: CommandModule<object, ExportArguments> = {
  command: 'export <checkpoint>',
  describe: 'Write the networks as ONNX models, without LibTorch',
  builder: (yargs) =>
    yargs
      .positional('checkpoint', {
        type: 'string',
        demandOption: true,
        describe: 'Run folder or checkpoint file',
      })
      .options({
        out: {
          alias: 'o',
          type: 'string',
          requiresArg: true,
          demandOption: true,
          describe: 'Folder for generator.onnx and reverser.onnx, or a file that ends in .onnx',
        },
        network: {
          type: 'string',
          requiresArg: true,
          describe: `${NETWORKS.join(' or ')}; default both into a folder, the generator into a file`,
        },
        pixels: {
          type: 'string',
          requiresArg: true,
          default: 'float32',
          describe: `${PIXELS.join(' or ')}: NCHW from -1 to 1, or NHWC from 0 to 255`,
        },
        json: { type: 'boolean', default: false, describe: 'One JSON object on stdout' },
        quiet: { type: 'boolean', default: false, describe: 'Say nothing but errors' },
      })
      .example('$0 export runs/photos --out models', 'Both networks')
      .example('$0 export runs/photos --out generator.onnx --pixels uint8', 'Latents in, 8-bit images out'),
  handler: run,
};

async function run(argv: ArgumentsCamelCase<ExportArguments>): Promise<void> {
  const { checkpoint, out, network, pixels, json, quiet } = argv;
  const options = { checkpoint, out, pixels, ...(network !== undefined && { network }) } as ExportOptions;
  const exported = await exportOnnx(options);
  if (!quiet) warnDamaged(exported.damaged);
  if (json) process.stdout.write(`${JSON.stringify(exported)}\n`);
  else if (!quiet) {
    for (const { path, bytes: size, input, output } of exported.files) {
      const values = [input, output].map(({ name, type, shape }) => `${name} ${type} [${shape.join(', ')}]`);
      process.stdout.write(`${path}  ${bytes(size)}  ${values.join(' -> ')}\n`);
    }
    const { opset, step, checkpoint: path } = exported;
    process.stdout.write(`ONNX opset ${opset}, step ${step}, ${path}\n`);
  }
}
