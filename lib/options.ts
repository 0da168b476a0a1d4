/** Checks of the options of public functions; plain JavaScript may pass anything. */
import { inspect } from 'node:util';
import { suggestion } from './config/nearest.js';
import { SanError } from './errors.js';

/** On one line, for a message. */
const shown = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 4 });

/** Throws ERR_SAN_OPTIONS for what is no object of options; `wanted` says what one looks like. */
export function requireObject(options: unknown, wanted: string): asserts options is object {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return;
  const message = `options = ${shown(options)}: expected an object such as ${wanted}`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field: 'options', value: options });
}

/** Throws ERR_SAN_OPTIONS for what is no object, and, with the nearest name, for a key that is not among `known`. */
export function requireKeys(options: object, known: readonly string[]): void {
  requireObject(options, `{ ${known.join(', ')} }`);
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const message = `unknown option ${JSON.stringify(key)}${suggestion(key, known)}`;
    throw new SanError('ERR_SAN_OPTIONS', message, { field: key });
  }
}

/** Throws ERR_SAN_OPTIONS for what is no San, such as the promise of one. */
export function requireSan(san: unknown): void {
  if (typeof (san as { reverse?: unknown } | null | undefined)?.reverse === 'function') return;
  const message = `san = ${shown(san)}: expected what \`await San.load('runs/photos')\` gives`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field: 'san', value: san });
}

/** Throws ERR_SAN_OPTIONS unless `value` is a safe integer of at least `least`, and of at most `most`. */
export function requireWhole(
  field: string,
  value: unknown,
  least: number,
  most?: number,
): asserts value is number {
  const whole = Number.isSafeInteger(value) ? (value as number) : Number.NaN;
  if (whole >= least && whole <= (most ?? whole)) return;
  const range = most === undefined ? `from ${least} on` : `from ${least} to ${most}`;
  throw new SanError('ERR_SAN_OPTIONS', `${field} = ${shown(value)}: expected a whole number ${range}`, {
    field,
    value,
  });
}
