/** Values that callers gave, as errors tell of them: whatever they are, in few words. */
import { inspect } from 'node:util';

/** Letters of a value in a message at most. */
const MOST_SHOWN = 200;
/** Items of an array, and letters of a text, that the details of an error hold at most. */
const MOST_ITEMS = 32;
const MOST_LETTERS = 1000;

/** On one line, for a message. */
export function shown(value: unknown): string {
  const text =
    typeof value === 'string'
      ? JSON.stringify(value)
      : inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 4 });
  const line = text.replace(/\s*\n\s*/g, ' ');
  return line.length > MOST_SHOWN ? `${line.slice(0, MOST_SHOWN - 3)}...` : line;
}

/** Names that others gave, on one line and harmless in a terminal. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must go
  text.replace(/[\x00-\x1f\x7f-\x9f]/g, '\ufffd');

/** For the details of an error, which programs log as JSON: the value itself, or what it is where that is more than a few words. */
export const brief = (value: unknown): unknown =>
  isBrief(value) || (Array.isArray(value) && value.length <= MOST_ITEMS && value.every(isBrief))
    ? value
    : shown(value);

const isBrief = (value: unknown): boolean =>
  typeof value === 'string'
    ? value.length <= MOST_LETTERS
    : value === null || ['undefined', 'boolean', 'number'].includes(typeof value);
