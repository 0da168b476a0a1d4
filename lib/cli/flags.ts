/** Config keys as command-line flags, one to one: wGD is --w-gd. */
import type { Options } from 'yargs';
import { type Field, fieldOf, fields } from '../config/fields.js';
import type { ConfigKey } from '../config/schema.js';

export const flagName = (key: string): string =>
  key.replace(/[A-Z]+/g, (capitals) => `-${capitals.toLowerCase()}`);

/** Settings that the short help shows, in this order; --help-all shows them all. */
const COMMON: readonly ConfigKey[] = [
  'imageSize',
  'augment',
  'baseWidth',
  'maxWidth',
  'batchSize',
  'steps',
  'maxMinutes',
  'learningRate',
  'lambda',
  'seed',
  'threads',
  'sampleEvery',
  'metricEvery',
];

/**
 * yargs options for every config key, to be parsed as text: the schema judges the values. A boolean's flag alone means
 * true. No defaults in them, since a flag that was not given must not win over a file.
 */
export const configFlags: Record<string, Options> = Object.fromEntries(
  [...COMMON.flatMap((key) => fieldOf(key) ?? []), ...fields.filter(({ key }) => !COMMON.includes(key))].map(
    (field) => [flagName(field.key), toOption(field)],
  ),
);

/** The config keys among parsed arguments. What is not a number stays text, for the schema to refuse by name. */
export function configFromFlags(argv: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = fields.flatMap(({ key, kind }): [string, unknown][] => {
    const text = argv[flagName(key)];
    if (typeof text === 'boolean') return [[key, text]];
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

function toOption({ key, group, description, expected, kind, default: value }: Field): Options {
  const range = expected.replace(/^a (whole )?number /, '');
  return {
    ...(kind === 'boolean' ? { type: 'boolean' } : { requiresArg: true }),
    ...(COMMON.includes(key) ? { group: 'Common settings:' } : { group: `${group}:`, hidden: true }),
    describe: `${description}; ${kind === 'numbers' ? `${range}, with commas between` : range}`,
    defaultDescription: value,
  };
}
