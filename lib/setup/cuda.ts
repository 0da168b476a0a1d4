/** Whether the addon gets CUDA code, and what decides so: native/cmake/cuda.cmake. */
import { UsageError } from '../errors.js';
import type { LibTorchFolder } from './inspect.js';
import { onPath } from './run.js';

const CHOICES = ['auto', 'on', 'off'] as const;
export type CudaChoice = (typeof CHOICES)[number];

const VARIABLE = 'SAN_NATIVE_CUDA';

/** `value` of a flag or variable; undefined where it was not given. Throws UsageError. */
export function parseCudaChoice(name: string, value: string | undefined): CudaChoice | undefined {
  if (value === undefined || value === '') return undefined;
  const choice = CHOICES.find((known) => known === value);
  if (choice === undefined) throw new UsageError(`${name} = ${value}: expected ${CHOICES.join(', ')}`);
  return choice;
}

/** What SAN_NATIVE_CUDA asks for. Throws UsageError. */
export const cudaChoice = (env: NodeJS.ProcessEnv): CudaChoice =>
  parseCudaChoice(VARIABLE, env[VARIABLE]) ?? 'auto';

/** In words what a build folder is configured for; another text asks for another configuration. */
export function cudaToolchain(libtorch: LibTorchFolder, choice: CudaChoice, env: NodeJS.ProcessEnv): string {
  if (choice === 'off' || !libtorch.cuda) return choice === 'on' ? 'on' : 'off';
  const nvcc = env.CUDACXX ?? onPath(env, 'nvcc') ?? env.CUDA_HOME ?? env.CUDA_PATH ?? 'no nvcc on PATH';
  return [choice, nvcc, env.CUDAARCHS ?? 'default architectures'].join(', ');
}
