import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';

/** Versions of LibTorch that the native code is written for: the minor numbers of 2.x, both included. */
export const SUPPORTED = { major: 2, firstMinor: 11, lastMinor: 14 } as const;
export const SUPPORTED_RANGE = '2.11 to 2.14';

/** A folder that holds what the addon is compiled and linked against. */
export interface LibTorchFolder {
  /** Real path of the folder with include/ and lib/. */
  path: string;
  /** As the folder tells it, such as "2.13.0+cpu". */
  version: string;
  /** A CUDA build. */
  cuda: boolean;
}

const LIBRARIES = ['lib/libtorch_cpu.so', 'lib/libc10.so'];
const HEADERS = ['include/ATen/ATen.h', 'include/torch/csrc/api/include/torch/torch.h'];

/** Looks at a LibTorch or Python torch folder. Gives what it holds, or what is wrong with it in a few words. */
export function inspectLibTorch(
  folder: string,
): { found: LibTorchFolder; fault?: never } | { found?: never; fault: string } {
  if (!existsSync(folder)) return { fault: 'there is no such folder' };
  if (!statSync(folder).isDirectory()) return { fault: 'it is not a folder' };
  const missing = [...LIBRARIES, ...HEADERS].find((file) => !existsSync(path.join(folder, file)));
  if (missing) {
    const inner = ['torch', 'libtorch'].find((name) => existsSync(path.join(folder, name, 'lib')));
    return { fault: `it holds no ${missing}${inner ? `; did you mean its folder ${inner}?` : ''}` };
  }
  const version = readVersion(folder);
  if (!version) return { fault: 'neither version.py nor build-version in it tells a version' };
  const cuda = existsSync(path.join(folder, 'lib/libtorch_cuda.so'));
  return { found: { path: realpathSync(folder), version, cuda } };
}

/** Python packages carry version.py, the zip files of LibTorch build-version. */
function readVersion(folder: string): string | undefined {
  const python = read(path.join(folder, 'version.py'))?.match(/^__version__\s*=\s*['"](.+?)['"]/m)?.[1];
  return python ?? read(path.join(folder, 'build-version'))?.match(/^\s*(\d+\.\d+\S*)/)?.[1];
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Whether the native code is written for this version of LibTorch. */
export function isSupported(version: string): boolean {
  const [, major, minor] = version.match(/^(\d+)\.(\d+)/) ?? [];
  return (
    Number(major) === SUPPORTED.major &&
    Number(minor) >= SUPPORTED.firstMinor &&
    Number(minor) <= SUPPORTED.lastMinor
  );
}
