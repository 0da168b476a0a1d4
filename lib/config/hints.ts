/** What a value of the wrong kind was probably meant to be. */
import { fieldOf } from './fields.js';
import { suggestion } from './nearest.js';
import { MEASURED, TARGET } from './schema.js';

/** `; did you mean X?` for a text of a few; for a list which item is wrong, and that; how a list is written; or nothing. */
export function hint(key: string, value: unknown): string {
  const kind = fieldOf(key)?.kind;
  // Flags are split at commas, so this is of a file or a program.
  if (typeof value === 'string' && (kind === 'texts' || kind === 'numbers')) {
    const items = value.split(',').map((item) => item.trim());
    return `; as a list it is [${items.map((item) => (kind === 'texts' ? JSON.stringify(item) : item)).join(', ')}]`;
  }
  const wrong = key === 'targets' ? unknownTarget(value) : unknownOption(key, value);
  if (wrong === undefined) return '';
  const { item, name, options } = wrong;
  const which = Array.isArray(value) && value.length > 1 ? `; ${JSON.stringify(item)} is none` : '';
  return `${which}${options.includes(name) ? '' : suggestion(name, options)}`;
}

interface WrongName {
  /** As it was given. */
  item: string;
  name: string;
  options: readonly string[];
}

function unknownOption(key: string, value: unknown): WrongName | undefined {
  const options = fieldOf(key)?.options;
  const name = texts(value).find((text) => !options?.includes(text));
  return options === undefined || name === undefined ? undefined : { item: name, name, options };
}

/** The first target that is none, and the name in it, such as "lgj" of "lgj<0.02". */
function unknownTarget(value: unknown): WrongName | undefined {
  const item = texts(value).find((target) => !TARGET.test(target));
  if (item === undefined) return undefined;
  return { item, name: /^\s*(\w+)/.exec(item)?.[1] ?? '', options: MEASURED };
}

const texts = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((item) => typeof item === 'string');
