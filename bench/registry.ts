/** The cases: every file in the folder of a suite, under its name. */
import { readdir } from 'node:fs/promises';
import { requireDevice } from '../lib/device.js';
import type { CudaInfo, Device } from '../lib/native.js';
import type { BenchCase } from './case.js';

/** Cases that are run by one command. */
export interface Suite {
  /** What users type. */
  command: string;
  folder: URL;
  /** Where it runs, or what is missing for it. */
  device(cuda: CudaInfo): { device: Device } | { missing: string };
}

export const onProcessor: Suite = {
  command: 'npm run bench --',
  folder: new URL('./cases/', import.meta.url),
  device: () => ({ device: 'cpu' }),
};

/** SAN_NATIVE_TEST_DEVICE=cpu runs it on the processor, which shows that the cases themselves are sound. */
export const onGpu: Suite = {
  command: 'npm run bench:gpu --',
  folder: new URL('./gpu/', import.meta.url),
  device: (cuda) => {
    const wanted = process.env.SAN_NATIVE_TEST_DEVICE ?? 'auto';
    const device = requireDevice(wanted, cuda);
    if (device === 'cpu' && wanted !== 'cpu') return { missing: cuda.fault ?? 'there is no device' };
    return { device };
  },
};

export async function caseNames({ folder }: Suite): Promise<string[]> {
  const files = await readdir(folder);
  return files.flatMap((file) => /^([\w-]+)\.[jt]s$/.exec(file)?.[1] ?? []).sort();
}

export async function loadCase({ folder }: Suite, name: string): Promise<BenchCase> {
  const module = (await import(new URL(`${name}.js`, folder).href)) as { default: BenchCase };
  return module.default;
}
