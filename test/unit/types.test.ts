/** The types of the package as a program that installs it sees them: through `exports`, with declarations of its own. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { packageRoot } from '../../lib/native.js';
import { temporaryFolder } from './support/temporary.js';

const root = packageRoot();
const COMPILER = join(root, 'node_modules/typescript/bin/tsc');
const OPTIONS = {
  ...{ strict: true, exactOptionalPropertyTypes: true, declaration: true, skipLibCheck: true, noEmit: false },
  ...{ module: 'nodenext', target: 'es2023', lib: ['es2023', 'esnext.disposable'], types: ['node'] },
};

/** What the compiler says; '' where all is well. */
const compile = (...args: string[]): Promise<string> =>
  promisify(execFile)(process.execPath, [COMPILER, ...args]).then(
    ({ stdout }) => stdout,
    ({ stdout, message }: { stdout?: string; message: string }) => stdout || message,
  );

/** Compiles a program of these files in a folder with the package's declarations installed. */
async function program(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  const installed = join(folder, 'node_modules/san-native');
  await mkdir(installed, { recursive: true });
  await symlink(join(root, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  await symlink(join(root, 'package.json'), join(installed, 'package.json'));
  const lib = join(folder, 'lib.json');
  await writeFile(
    lib,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        ...{ emitDeclarationOnly: true, declarationMap: false, sourceMap: false },
        ...{ rootDir: root, outDir: join(installed, 'dist'), typeRoots: [join(root, 'node_modules/@types')] },
      },
      files: [join(root, 'lib/index.ts')],
      include: [],
    }),
  );
  expect(await compile('-p', lib)).toBe('');
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const own = { ...OPTIONS, rootDir: '.', outDir: 'out' };
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: own, files: Object.keys(files) }),
  );
  return compile('-p', folder);
}

/** Names that lib/index.ts exports: types, and values. */
async function exported(): Promise<{ types: string[]; values: string[] }> {
  const text = await readFile(join(root, 'lib/index.ts'), 'utf8');
  const lists = [...text.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, type = '', list = '']) =>
    list.split(',').flatMap((item) => (item.trim() === '' ? [] : [`${type}${item.trim()}`])),
  );
  const types = lists.filter((item) => item.startsWith('type ')).map((item) => item.slice('type '.length));
  return { types, values: lists.filter((item) => !item.startsWith('type ') && item !== 'San') };
}

/** Every type of the API, and of its functions' parameters and results, member by member. */
async function allTypes(): Promise<string> {
  const { types, values } = await exported();
  expect(types).toContain('MetricValues');
  expect(values).toContain('dryRun');
  return [
    "import * as san from 'san-native';",
    // Written out in the declaration, which must name each member's type.
    'declare function members<T>(): { [K in keyof T]: T[K] };',
    ...types.map((name) => `export const t${name} = members<san.${name}>();`),
    ...values.flatMap((name) => [
      `export const p${name} = members<Parameters<typeof san.${name}>>();`,
      `export const r${name} = members<[ReturnType<typeof san.${name}>]>();`,
    ]),
    'export const network = members<san.San>();',
    'export const load = members<Parameters<typeof san.San.load>>();',
  ].join('\n');
}

const UNDEFINED = `
  import type * as san from 'san-native';
  const none = undefined;
  export const load: san.LoadOptions = { threads: none, precision: none, device: none };
  export const sample: san.SampleOptions = { seed: 1, count: 1, startIndex: none };
  export const error: san.PrecisionErrorOptions = { seed: 1, count: 1, startIndex: none, device: none };
  export const profile: san.ProfileOptions = { path: 'trace.json', what: none, flops: none };
  export const loader: san.LoaderOptions =
    { batchSize: 1, seed: 1, dataset: none, images: none, augmentation: none, workers: none };
  export const control: san.GenerateControl = { signal: none, onProgress: none, onImages: none };
  export const config: san.ConfigInput = { seed: none, threads: none };`;

it('names every type that a signature leads to, and takes undefined for an option', async () => {
  expect(await program({ 'named.ts': await allTypes(), 'undefined.ts': UNDEFINED })).toBe('');
}, 120_000);
