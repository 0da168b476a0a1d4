import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** A temporary folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'san-native-setup-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function write(file: string, text = ''): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** A folder with everything set-up looks at in a LibTorch; as a Python package unless `zip`. */
export function fakeLibTorch(folder: string, version: string, kind: 'python' | 'zip' = 'python'): string {
  write(path.join(folder, 'lib/libtorch_cpu.so'));
  write(path.join(folder, 'lib/libc10.so'));
  write(path.join(folder, 'include/ATen/ATen.h'));
  write(path.join(folder, 'include/torch/csrc/api/include/torch/torch.h'));
  if (kind === 'zip') write(path.join(folder, 'build-version'), `${version}\n`);
  else write(path.join(folder, 'version.py'), `__all__ = []\n__version__ = '${version}'\ndebug = False\n`);
  return folder;
}

/**
 * Stands in for python3: knows of a torch or not, has pip or not, and installs by copying `site` to the target.
 * Every installation adds the names of its packages to a file.
 */
export class FakePython {
  readonly env: NodeJS.ProcessEnv;
  private readonly installed: string;

  constructor(options: { torch?: string; pip?: boolean; site?: string } = {}) {
    const folder = temporaryFolder();
    this.installed = path.join(folder, 'installed');
    const origin = options.torch && path.join(options.torch, '__init__.py');
    const script = write(
      path.join(folder, 'bin/python3'),
      `#!/bin/sh
if [ "$1" = -c ]; then
  echo '${JSON.stringify(origin ?? null)}'
elif [ "$3" = --version ]; then
  exit ${options.pip === false ? 1 : 0}
elif [ -z '${options.site ?? ''}' ]; then
  echo 'Collecting torch'
  echo 'ERROR: Could not find a version' >&2
  echo 'ERROR: No matching distribution found' >&2
  exit 1
else
  target="$5"
  mkdir -p "$target"
  cp -r '${options.site}'/. "$target"
  while [ $# -gt 0 ]; do case "$1" in *==*) echo "$1" >> '${this.installed}' ;; esac; shift; done
fi
`,
    );
    chmodSync(script, 0o755);
    this.env = { PATH: `${path.dirname(script)}:/usr/bin:/bin` };
  }

  /** Packages installed so far, in order. */
  get packages(): string[] {
    if (!existsSync(this.installed)) return [];
    return readFileSync(this.installed, 'utf8').trim().split('\n');
  }
}

/** A site-packages folder with a torch of this version in it, as pip would leave it. */
export function fakeSite(version: string): string {
  const site = temporaryFolder();
  fakeLibTorch(path.join(site, 'torch'), version);
  return site;
}

export const copy = (from: string, to: string) => cpSync(from, to, { recursive: true });
