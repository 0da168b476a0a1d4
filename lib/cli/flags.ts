/** Config keys as command-line flags, one to one: wGD is --w-gd. */
import type { Options } from 'yargs';
import { type Field, fields } from '../config/fields.js';

export const flagName = (key: string): string =>
  key.replace(/[A-Z]+/g, (capitals) => `-${capitals.toLowerCase()}`);

/**
 * yargs options for every config key, to be parsed as text: the schema judges the values. No defaults in them, since
 * a flag that was not given must not win over a file.
 */
export const configFlags: Record<string, Options> = Object.fromEntries(
  fields.map((field) => [flagName(field.key), toOption(field)]),
);

/** The config keys among parsed arguments. What is not a number stays text, for the schema to refuse by name. */
export function configFromFlags(argv: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = fields.flatMap(({ key, kind }) => {
    const text = argv[flagName(key)];
    if (typeof text !== 'string') return [];
    if (kind === 'text') return [[key, text]];
    const parts = text.split(',').map((part) => part.trim());
    if (kind === 'texts') return [[key, text.trim() === '' ? [] : parts]];
    return [[key, kind === 'numbers' ? parts.map(toNumber) : toNumber(text)]];
  });
  return Object.fromEntries(given);
}

export function toNumber(text: string): number | string {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text : value;
}

function toOption({ group, description, expected, kind, default: value }: Field): Options {
  const range = expected.replace(/^a (whole )?number /, '');
  return {
    requiresArg: true,
    group: `${group}:`,
    describe: `${description}; ${kind === 'numbers' ? `${range}, with commas between` : range}`,
    defaultDescription: value,
  };
}
