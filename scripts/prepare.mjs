// Everything that must be in place before a script can do its job, made with Node's built-ins alone: the
// dependencies, the compiled TypeScript, LibTorch and the addon. Each part is left alone when it is up to date.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Failure, run } from './run.mjs';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const inRoot = (...parts) => path.join(root, ...parts);
const readJson = async (file) => JSON.parse(await readFile(file, 'utf8'));

/** Where the news of the set-up goes. */
let output = process.stdout;
const say = (text) => output.write(`${text}\n`);

/** Does all the set-up there is. */
export async function prepare({ force = false, newsTo = process.stdout } = {}) {
  output = newsTo;
  const start = performance.now();
  const installed = await installDependencies();
  const compiled = await compile();
  const { setup, progressPrinter, duration } = await import(
    pathToFileURL(inRoot('dist/lib/setup/index.js')).href
  );
  const printer = progressPrinter(output);
  const { built } = await setup({ force, onProgress: printer.onProgress }).finally(printer.close);
  const seconds = (performance.now() - start) / 1000;
  const news = installed || compiled || built;
  say(news ? `Set-up took ${duration(seconds)}` : 'Set-up is up to date');
  return { seconds, duration };
}

/** Installs the locked dependencies unless the installed ones are those. Resolves to whether it installed. */
export async function installDependencies() {
  await checkNode();
  if (await dependenciesMatch()) return false;
  return withLock(async () => {
    if (await dependenciesMatch()) return false;
    await step('Installing the dependencies', async () => {
      // Under npm this is the npm that runs; its path also saves a look at PATH.
      const npm = process.env.npm_execpath?.endsWith('npm-cli.js')
        ? [process.execPath, process.env.npm_execpath]
        : ['npm'];
      const args = [...npm.slice(1), 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
      // Its install script would fetch CUDA libraries, which the tests do not use, from outside the registry.
      const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
      const status = await run(npm[0], args, { cwd: root, env, quiet: true });
      if (status !== 0) throw new Failure('npm ci failed, see above', status);
    });
    return true;
  });
}

/** Compiles the TypeScript unless dist was made from the same sources. Resolves to whether it compiled. */
export async function compile() {
  const stamp = inRoot('dist', '.stamp');
  const isCurrent = async (hash) => existsSync(stamp) && (await readFile(stamp, 'utf8')) === hash;
  if (await isCurrent(await hashSources())) return false;
  return withLock(async () => {
    const hash = await hashSources();
    if (await isCurrent(hash)) return false;
    await step('Compiling the TypeScript', async () => {
      await rm(stamp, { force: true });
      const status = await run(process.execPath, [inRoot('node_modules/typescript/bin/tsc')], { cwd: root });
      if (status !== 0) throw new Failure('the TypeScript does not compile, see above', status);
      await prune();
      await writeConfigSchema();
    });
    await writeFile(stamp, hash);
    return true;
  });
}

async function checkNode() {
  const wanted = (await readJson(inRoot('package.json'))).engines.node.match(/\d+/g).map(Number);
  const have = process.versions.node.split('.').map(Number);
  const i = wanted.findIndex((part, at) => part !== have[at]);
  if (i >= 0 && have[i] < wanted[i]) {
    throw new Failure(`Node ${wanted.join('.')} or later is needed, and this is ${process.versions.node}`);
  }
}

/**
 * Whether node_modules holds what package-lock.json asks for, by npm's own record of what it installed. Packages
 * for other platforms are optional and may be missing.
 */
async function dependenciesMatch() {
  const record = inRoot('node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const [installed, locked] = await Promise.all([readJson(record), readJson(inRoot('package-lock.json'))]);
  return Object.entries(locked.packages).every(([name, { version, optional, devOptional }]) => {
    const found = installed.packages[name];
    return name === '' || (found ? found.version === version : Boolean(optional || devOptional));
  });
}

const SOURCE_FOLDERS = ['lib', 'test', 'bench', 'quality', 'examples'];

async function sources() {
  const found = [];
  for (const folder of SOURCE_FOLDERS.filter((name) => existsSync(inRoot(name)))) {
    for (const name of await readdir(inRoot(folder), { recursive: true })) {
      if (name.endsWith('.ts')) found.push(path.join(folder, name));
    }
  }
  return found.sort();
}

async function hashSources() {
  const hash = createHash('sha256');
  for (const file of ['package.json', 'package-lock.json', 'tsconfig.json', ...(await sources())]) {
    hash.update(`${file}\n`).update(await readFile(inRoot(file)));
  }
  return hash.digest('hex');
}

/** Removes what dist still holds of sources that are gone. */
async function prune() {
  const stems = new Set((await sources()).map((file) => file.replace(/\.ts$/, '')));
  for (const entry of await readdir(inRoot('dist'), { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const stem = path.relative(inRoot('dist'), file).replace(/(\.d\.ts|\.js)(\.map)?$/, '');
    if (entry.isFile() && !stems.has(stem)) await rm(file);
  }
}

/** The JSON Schema of config files, which editors read from the package. */
async function writeConfigSchema() {
  const { configJsonSchema } = await import(pathToFileURL(inRoot('dist/lib/config/json-schema.js')).href);
  await writeFile(inRoot('dist/config.schema.json'), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
}

async function step(text, work) {
  say(text);
  const start = performance.now();
  await work();
  say(`  done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** Lets scripts that were started at the same time in this checkout install and compile one after the other. */
async function withLock(work) {
  const name = `san-native-${createHash('sha256').update(root).digest('hex').slice(0, 16)}.lock`;
  const file = path.join(os.tmpdir(), name);
  const own = `${file}-${process.pid}`;
  await writeFile(own, String(process.pid));
  try {
    for (let waited = false; !(await take(own, file)); waited = true) {
      if (!waited) say('Waiting for another script that is preparing this folder');
      await sleep(200);
    }
    try {
      return await work();
    } finally {
      await rm(file, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** A link appears with its content or not at all, so a lock always names its holder. */
async function take(own, file) {
  try {
    await link(own, file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const holder = Number(await readFile(file, 'utf8').catch(() => ''));
  if (holder && !isRunning(holder)) await rm(file, { force: true });
  return false;
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
