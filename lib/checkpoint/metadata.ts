/** What a checkpoint says besides its tensors and config: counters and what a run needs to go on as if unbroken. */
import { z } from 'zod';
import { LOSS_NAMES, type LossName } from '../native.js';
import { CHECKSUM_KEY } from './checksum.js';

export const FORMAT = 'san-native';
export const VERSION = '1';

const sumsSchema = z.object({
  /** Steps that are summed up: those that were not skipped. */
  steps: z.int().min(0),
  /** Those of them with the gradient penalty; earlier versions did not count them. */
  penalties: z.int().min(0).exactOptional(),
  /** Steps that were skipped, for something in them was not finite. */
  skipped: z.int().min(0).default(0),
  losses: z.object(
    Object.fromEntries(LOSS_NAMES.map((name) => [name, z.number()])) as Record<LossName, z.ZodNumber>,
  ),
});
/** Each loss added up over some steps. */
export type LossSums = z.output<typeof sumsSchema>;

const guardSchema = z.object({
  /** Skipped steps right before now. */
  inRow: z.int().min(0),
  /** What the learning rate is multiplied by: halved with each roll-back. */
  learningRateScale: z.number().gt(0).max(1),
  /** Step of the failure that the latest roll-back was for; 0 once the run is past it. */
  failedAt: z.int().min(0),
});
/** Of lib/training/guard.ts. */
export type GuardState = z.output<typeof guardSchema>;

export const noFailure = (): GuardState => ({ inRow: 0, learningRateScale: 1, failedAt: 0 });

/** Text fields, as safetensors metadata must be. */
export const metadataSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  step: counter(),
  images: counter(),
  config: z.string(),
  seconds: z
    .string()
    .regex(/^\d+(\.\d+)?$/)
    .transform(Number),
  data: z.string(),
  recent: json(sumsSchema),
  // Those of version 0.1.0 lack these two.
  skipped: counter().default(0),
  guard: json(guardSchema).default(noFailure),
  [CHECKSUM_KEY]: z.string().regex(/^[0-9a-f]{64}$/),
});

function json<T extends z.ZodType>(schema: T) {
  return z.string().transform((text, context): z.output<T> => {
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      context.addIssue({ code: 'custom', message: 'not the JSON it should be' });
      return z.NEVER;
    }
  });
}

function counter() {
  return z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number)
    .pipe(z.int());
}
