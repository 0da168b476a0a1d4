/** The schema's keys as plain data, for flags, help and messages. Read off the JSON Schema that zod makes. */
import { z } from 'zod';
import { type ConfigKey, configSchema, keyGroups } from './schema.js';

export interface Field {
  key: ConfigKey;
  /** Heading in the help text. */
  group: string;
  description: string;
  kind: 'number' | 'text' | 'numbers' | 'texts' | 'boolean';
  /** What is acceptable, to follow the word "expected": "a number from 0 to 1". */
  expected: string;
  /** The default, or where it comes from, in words. */
  default: string;
  /** The names to choose from, in texts that are one of a few or a list of such. */
  options?: readonly string[];
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

export const fields: readonly Field[] = listFields();

const byKey = new Map<string, Field>(fields.map((field) => [field.key, field]));

export const fieldOf = (key: string): Field | undefined => byKey.get(key);

function listFields(): Field[] {
  const { properties = {} } = z.toJSONSchema(configSchema, { io: 'input' });
  return Object.entries(keyGroups).flatMap(([group, keys]) =>
    (Object.keys(keys) as ConfigKey[]).map((key) => {
      const schema = properties[key] as JsonSchema;
      return {
        key,
        group,
        description: schema.description ?? '',
        kind: kindOf(schema),
        expected: expectedBy(schema),
        default: defaultOf(schema),
        ...optionsOf(schema),
      };
    }),
  );
}

function defaultOf({ default: value, derivation }: JsonSchema): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(',');
  return String(value ?? derivation);
}

function optionsOf(schema: JsonSchema): Pick<Field, 'options'> {
  const names = schema.enum ?? (schema.items as JsonSchema | undefined)?.enum;
  return typeof names?.[0] === 'string' ? { options: names.map(String) } : {};
}

function kindOf(schema: JsonSchema): Field['kind'] {
  if (schema.type === 'array') return (schema.items as JsonSchema).type === 'string' ? 'texts' : 'numbers';
  if (schema.type === 'boolean') return 'boolean';
  return schema.type === 'string' ? 'text' : 'number';
}

function expectedBy(schema: JsonSchema): string {
  if (typeof schema.expected === 'string') return schema.expected;
  if (schema.type === 'array') {
    const each = expectedBy(schema.items as JsonSchema);
    return `${schema.minItems} ${each.replace(/^a whole number/, 'whole numbers')}`;
  }
  if (schema.type === 'boolean') return 'true or false';
  if (schema.enum) return listed(schema.enum.map(String));
  const noun = schema.type === 'integer' ? 'a whole number' : 'a number';
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = schema;
  const low = exclusiveMinimum === undefined ? `from ${short(minimum)}` : `above ${short(exclusiveMinimum)}`;
  if (exclusiveMaximum !== undefined) return `${noun} ${low} and below ${short(exclusiveMaximum)}`;
  return `${noun} ${low} ${exclusiveMinimum === undefined ? 'to' : 'and at most'} ${short(maximum)}`;
}

/** 1e9 in place of 1000000000. */
function short(bound: unknown): string {
  const text = String(bound);
  return text.replace(/^1(0{5,})$/, (_, zeros: string) => `1e${zeros.length}`);
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
