/** Programs that Node itself allows less than others. */
import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { packageRoot } from '../../lib/native.js';

const PERMISSION = ['--permission', '--experimental-permission'].find((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
);

/** What a program prints that has what these modules of the package export. */
async function run(flags: string[], modules: string[], program: string): Promise<string> {
  const lib = pathToFileURL(`${packageRoot()}/dist/lib/`).href;
  const imports = modules.map((name) => `...await import('${lib}${name}.js')`);
  const source = `const lib = { ${imports.join(', ')} }; ${program}`;
  const args = [...flags, '--no-warnings', '--input-type=module', '-e', source];
  return (await promisify(execFile)(process.execPath, args)).stdout;
}

it('writes events, networks and pictures where no code may be made from text', async () => {
  const program = `
    const step = lib.stepOfEvent(lib.encodeEvent({ wallTime: 1, step: 2 ** 40, summary: { value: [{ tag: 'a' }] } }));
    const graph = { name: 'a', node: [], initializer: [], input: [], output: [] };
    const model = { irVersion: 8, producerName: '', opsetImport: [{ domain: '', version: 17 }], graph, metadataProps: [] };
    console.log(step, Buffer.from(lib.encodeModel(model)).toString('hex'));
    console.log((await lib.encodePngs({ data: new Uint8Array(300), shape: [100, 1, 1, 3] })).length);`;
  const modules = ['training/tensorboard/event', 'export/messages', 'generation/sinks/png-pool'];
  expect(await run(['--disallow-code-generation-from-strings'], modules, program)).toBe(
    `${2 ** 40} 08083a0312016142021011\n100\n`,
  );
});

it('says that PNG files need threads where none may be started, and goes on', async () => {
  const program = `
    for (let i = 0; i < 2; i++) {
      const images = { data: new Uint8Array(300), shape: [100, 1, 1, 3] };
      await lib.encodePngs(images).catch(({ code, message }) => console.log(code, message));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }`;
  const flags = [PERMISSION ?? '', '--allow-fs-read=*'];
  expect(await run(flags, ['generation/sinks/png-pool'], program)).toMatch(
    /^(ERR_SAN_OUTPUT no thread starts that encodes PNG files: .*\n){2}$/,
  );
});
