/** Checks of what callers pass in; plain JavaScript may pass anything. */
import type { Writable } from 'node:stream';
import { SanError } from '../errors.js';
import type { ImageBatch, InferencePrecision, LatentBatch, SampleOptions } from '../native.js';
import { requirePath, requireWhole } from '../options.js';
import { shown } from '../shown.js';

/** kLeastTruncation of the native half. */
const LEAST_TRUNCATION = 0.01;

/** Throws ERR_SAN_OPTIONS unless these are images of a seed: count 1 or more if given, the last index a safe integer. */
export function requireRange({ count, seed, startIndex }: { [K in keyof SampleOptions]?: unknown }): void {
  if (count !== undefined) requireWhole('count', count, 1);
  requireWhole('seed', seed, 0);
  requireWhole('startIndex', startIndex, 0);
  if (Number.isSafeInteger(startIndex + (count ?? 1))) return;
  throw new SanError(
    'ERR_SAN_OPTIONS',
    `startIndex + count = ${startIndex + (count ?? 1)} is beyond 2^53 - 1`,
    {
      field: 'startIndex',
      value: startIndex,
    },
  );
}

/** What the convolutions of inference can multiply. */
export const PRECISIONS = ['fp32', 'bf16'] as const satisfies readonly InferencePrecision[];

/** Throws ERR_SAN_OPTIONS unless `value` is one of PRECISIONS. */
export function requirePrecision(value: unknown): asserts value is InferencePrecision {
  if (PRECISIONS.includes(value as InferencePrecision)) return;
  const message = `precision = ${shown(value)}: expected ${PRECISIONS.join(' or ')}`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field: 'precision', value });
}

/** Throws ERR_SAN_OPTIONS unless `value` is a finite number of at least 0.01, or undefined. */
export function requireTruncation(value: unknown, field = 'truncation'): asserts value is number | undefined {
  if (value === undefined || (Number.isFinite(value) && (value as number) >= LEAST_TRUNCATION)) return;
  const message = `${field} = ${shown(value)}: expected a number from ${LEAST_TRUNCATION} on`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field, value });
}

/** Throws ERR_SAN_OPTIONS unless `value` is a path or a stream that can be written to. */
export function requireTarget(value: unknown): asserts value is string | Writable {
  if (typeof value !== 'object' || value === null) return requirePath('target', value);
  const { on, write } = value as Partial<Writable>;
  if (typeof on === 'function' && typeof write === 'function') return;
  const message = `target = ${shown(value)}: expected a path or a Writable, such as process.stdout`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field: 'target', value });
}

export function requireBatchSize(value: unknown): asserts value is number | undefined {
  if (value !== undefined) requireWhole('batchSize', value, 1);
}

/** The name of its class, or what else it is. */
const kindOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'an object') : shown(value);

/** Throws ERR_SAN_OPTIONS, naming the first one, for latents of which a number is not finite: any image would come of it. */
export function requireFinite(field: string, { data }: LatentBatch): void {
  const index = data.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return;
  const where = `${field}.data[${index}]`;
  const message = `${where} = ${data[index]}: expected finite numbers, such as reverse() and latents() give`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field: where, value: String(data[index]) });
}

/**
 * Throws ERR_SAN_SHAPE unless `batch` has elements of `type`, the shape [N, ...itemShape] with N >= 1, and just as
 * many numbers as that shape asks for.
 */
export function requireBatch(
  field: string,
  batch: ImageBatch | LatentBatch,
  type: typeof Uint8Array | typeof Float32Array,
  itemShape: readonly number[],
): void {
  const fail = (message: string, value: unknown) => {
    throw new SanError('ERR_SAN_SHAPE', `${field}${message}`, { field, value });
  };
  const { data, shape } = (batch ?? {}) as Partial<ImageBatch | LatentBatch>;
  if (!(data instanceof type)) fail(`.data must be a ${type.name}, is ${kindOf(data)}`, kindOf(data));
  if (typeof SharedArrayBuffer !== 'undefined' && data?.buffer instanceof SharedArrayBuffer)
    fail('.data is over a SharedArrayBuffer, which others may write to; copy it with slice()', kindOf(data));
  const [count = 0, ...item] = Array.isArray(shape) ? (shape as readonly number[]) : [];
  if (!Number.isSafeInteger(count) || count < 1 || item.join() !== itemShape.join()) {
    const shown = Array.isArray(shape) ? `[${shape.join(', ')}]` : String(shape);
    fail(`.shape must be [N, ${itemShape.join(', ')}], is ${shown}`, shape);
  }
  const numbers = count * itemShape.reduce((a, b) => a * b, 1);
  if (data?.length !== numbers)
    fail(`.data must hold ${numbers} numbers, holds ${data?.length}`, data?.length);
}
