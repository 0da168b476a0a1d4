/** Faults made on purpose, for tests of what a run does about them. */
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import type { TrainerFaults } from '../native.js';

const schema = z.strictObject({
  nanGradient: z.array(z.int().min(1)).exactOptional(),
  outOfMemory: z.array(z.int().min(1)).exactOptional(),
});

/** Of the environment variable SAN_NATIVE_FAULTS: JSON such as {"nanGradient":[5,6,7]}, of steps. */
export function faultsOf(environment: NodeJS.ProcessEnv): TrainerFaults | undefined {
  const text = environment.SAN_NATIVE_FAULTS;
  if (text === undefined || text === '') return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new ConfigError(`SAN_NATIVE_FAULTS = ${text}: expected JSON such as {"nanGradient":[5,6,7]}`, {
      field: 'SAN_NATIVE_FAULTS',
      value: text,
    });
  }
}
