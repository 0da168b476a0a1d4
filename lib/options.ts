/** Checks of the options of public functions; plain JavaScript may pass anything. */
import { suggestion } from './config/nearest.js';
import { SanError } from './errors.js';
import { shown } from './shown.js';

/** Refuses what a caller gave: ERR_SAN_OPTIONS, `field = VALUE: expected WHAT`. */
function refuse(field: string, value: unknown, expected: string): never {
  const message = `${field} = ${shown(value)}: expected ${expected}`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field, value });
}

/** Throws ERR_SAN_OPTIONS for what is no object of options; `wanted` says what one looks like. */
export function requireObject(
  options: unknown,
  wanted: string,
  field = 'options',
): asserts options is object {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return;
  refuse(field, options, `an object such as ${wanted}`);
}

/** Throws ERR_SAN_OPTIONS for what is no object, and, with the nearest name, for a key that is not among `known`. */
export function requireKeys(options: object, known: readonly string[], field = 'options'): void {
  requireObject(options, `{ ${known.join(', ')} }`, field);
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const where = field === 'options' ? 'option' : `key of ${field}`;
    const message = `unknown ${where} ${JSON.stringify(key)}${suggestion(key, known)}`;
    throw new SanError('ERR_SAN_OPTIONS', message, { field: key });
  }
}

/**
 * Throws ERR_SAN_OPTIONS unless `control` has no keys but those `known`: `signal`, an AbortSignal, or else functions,
 * any of which may be undefined.
 */
export function requireControl(control: object, known: readonly string[]): void {
  requireKeys(control, known, 'control');
  for (const [key, value] of Object.entries(control) as [string, unknown][]) {
    if (key === 'signal') requireSignal(value);
    else if (value !== undefined && typeof value !== 'function') refuse(key, value, 'a function');
  }
}

/** Throws ERR_SAN_OPTIONS unless `signal` is an AbortSignal or undefined. */
export function requireSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined) return;
  const { throwIfAborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>;
  if (typeof throwIfAborted === 'function' && typeof addEventListener === 'function') return;
  refuse('signal', signal, 'an AbortSignal, such as new AbortController().signal');
}

/** Throws ERR_SAN_OPTIONS unless `value` is a path; with `ending`, such as ".png", one that ends so. */
export function requirePath(field: string, value: unknown, ending = ''): asserts value is string {
  if (typeof value === 'string' && value !== '' && value.toLowerCase().endsWith(ending)) return;
  const text = value instanceof URL ? ', as text: fileURLToPath(url) gives that of a URL' : '';
  refuse(field, value, `${ending === '' ? 'a path' : `the path of a ${ending} file`}${text}`);
}

/** Throws ERR_SAN_OPTIONS for what is no San, such as the promise of one. */
export function requireSan(san: unknown): void {
  if (typeof (san as { reverse?: unknown } | null | undefined)?.reverse === 'function') return;
  refuse('san', san, "what `await San.load('runs/photos')` gives");
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
  // Who gives a number beyond them has to be told where the safe ones end.
  const beyond = typeof value === 'bigint' || (Number.isInteger(value) && !Number.isSafeInteger(value));
  const end = most ?? (beyond ? Number.MAX_SAFE_INTEGER : undefined);
  refuse(
    field,
    value,
    `a whole number ${end === undefined ? `from ${least} on` : `from ${least} to ${end}`}`,
  );
}
