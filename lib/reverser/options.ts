/** Checks of options that the functions of the reverser have in common. */
import { suggestion } from '../config/nearest.js';
import { SanError } from '../errors.js';

/** Throws ERR_SAN_OPTIONS, with the nearest name, for a key that is not among `known`. */
export function requireKeys(options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const message = `unknown option ${JSON.stringify(key)}${suggestion(key, known)}`;
    throw new SanError('ERR_SAN_OPTIONS', message, { field: key });
  }
}

/** Throws ERR_SAN_OPTIONS unless `value` is a path; with `ending`, such as ".png", one that ends so. */
export function requirePath(field: string, value: unknown, ending = ''): asserts value is string {
  if (typeof value === 'string' && value !== '' && value.toLowerCase().endsWith(ending)) return;
  const expected = ending === '' ? 'a path' : `the path of a ${ending} file`;
  const message = `${field} = ${JSON.stringify(value)}: expected ${expected}`;
  throw new SanError('ERR_SAN_OPTIONS', message, { field, value });
}
