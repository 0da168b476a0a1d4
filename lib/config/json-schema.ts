/** The settings as a JSON Schema, with which editors complete and check config files. */
import { z } from 'zod';
import { fieldOf } from './fields.js';
import { configSchema } from './schema.js';

/**
 * JSON Schema (draft 2020-12) of a config file. What one key alone can show to be wrong is refused by it; keys that
 * disagree with each other are found when training begins.
 */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, properties = {}, ...rest } = z.toJSONSchema(configSchema, { io: 'input' });
  return {
    $schema,
    title: 'san-native config file',
    ...rest,
    properties: {
      $schema: { type: 'string', description: 'Names this schema to an editor; otherwise without effect' },
      ...Object.fromEntries(Object.entries(properties).map(([key, schema]) => [key, plain(key, schema)])),
    },
  };
}

/** A property without the entries that only this package reads, and with its derivation in words. */
function plain(key: string, schema: z.core.JSONSchema._JSONSchema): unknown {
  if (typeof schema === 'boolean') return schema;
  const { expected: _, derivation, ...rest } = schema;
  if (derivation === undefined) return rest;
  return { ...rest, description: `${rest.description}. If absent: ${fieldOf(key)?.default}` };
}
