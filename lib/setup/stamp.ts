import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { LibTorchFolder } from './inspect.js';

/** What a build folder was made for, and which sources the addon in it was made from. */
export interface Stamp {
  /**
   * The place and the LibTorch that the folder was configured for. CMake does not notice every change of these,
   * so a folder configured for others is emptied.
   */
  configured: {
    root: string;
    libtorch: string;
    version: string;
    /** What decides about the CUDA variant: lib/setup/cuda.ts. */
    cuda: string;
  };
  /** Hash of everything the addon is made from. Missing until the addon has been built and has loaded. */
  hash?: string;
}

const FILE = 'san-native.json';

export function configuredFor(root: string, libtorch: LibTorchFolder, cuda: string): Stamp['configured'] {
  return { root, libtorch: libtorch.path, version: libtorch.version, cuda };
}

/** Hash over the C++ sources, CMakeLists.txt, LibTorch, the CUDA toolchain, the Node-API version, and the platform. */
export async function hashSources(root: string, configured: Stamp['configured']): Promise<string> {
  const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const hash = createHash('sha256');
  const add = (text: string | Buffer) => hash.update(`${text.length}:`).update(text);
  add(JSON.stringify([configured, manifest.binary, process.platform, process.arch]));
  for (const file of ['CMakeLists.txt', ...(await nativeFiles(root))]) {
    add(file);
    add(await readFile(path.join(root, file)));
  }
  return hash.digest('hex');
}

async function nativeFiles(root: string): Promise<string[]> {
  const entries = await readdir(path.join(root, 'native'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort();
}

/** The stamp of a build folder; undefined when there is none or it makes no sense. */
export function readStamp(build: string): Stamp | undefined {
  const file = path.join(build, FILE);
  if (!existsSync(file)) return undefined;
  try {
    const stamp = JSON.parse(readFileSync(file, 'utf8'));
    return typeof stamp?.configured === 'object' ? stamp : undefined;
  } catch {
    return undefined;
  }
}

export function writeStamp(build: string, stamp: Stamp): void {
  writeFileSync(path.join(build, FILE), `${JSON.stringify(stamp, null, 2)}\n`);
}

/** Whether a build folder can be kept for building again: it was configured for the same things. */
export function sameConfiguration(stamp: Stamp | undefined, configured: Stamp['configured']): boolean {
  return JSON.stringify(stamp?.configured) === JSON.stringify(configured);
}
