/** What a value of the wrong kind was probably meant to be. */
import { fieldOf } from './fields.js';
import { suggestion } from './nearest.js';
import { MEASURED, TARGET } from './schema.js';

/** `; did you mean X?` for a text of a few, or for the first wrong one of a list; or nothing. */
export function hint(key: string, value: unknown): string {
  const wrong = key === 'targets' ? unknownTarget(value) : unknownOption(key, value);
  return wrong === undefined ? '' : suggestion(wrong.name, wrong.options);
}

interface WrongName {
  name: string;
  options: readonly string[];
}

function unknownOption(key: string, value: unknown): WrongName | undefined {
  const options = fieldOf(key)?.options;
  const name = texts(value).find((text) => !options?.includes(text));
  return options === undefined || name === undefined ? undefined : { name, options };
}

/** The name in the first target that is none, such as "lgj" of "lgj<0.02". */
function unknownTarget(value: unknown): WrongName | undefined {
  const options: readonly string[] = MEASURED;
  const wrong = texts(value).find((target) => !TARGET.test(target));
  const name = /^\s*(\w+)/.exec(wrong ?? '')?.[1];
  return name === undefined || options.includes(name) ? undefined : { name, options };
}

const texts = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((item) => typeof item === 'string');
