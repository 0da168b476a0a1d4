/** Several layers of settings into one checked config. */
import { ConfigError } from '../errors.js';
import { deriveArchitecture } from './architecture.js';
import { fieldOf, fields } from './fields.js';
import { suggestion } from './nearest.js';
import { type PresetName, presets } from './presets.js';
import { type Config, configSchema } from './schema.js';

export interface ConfigLayer {
  /** Where the values come from, for messages: a file's name; empty for flags and API options. */
  source: string;
  values: Readonly<Record<string, unknown>>;
}

/**
 * Later layers win over earlier ones and over the schema's defaults; undefined values count as absent.
 * Throws ConfigError: an unknown key with its nearest name, a value out of range with the range, or two keys that
 * disagree with both values.
 */
export function resolveConfig(layers: readonly ConfigLayer[]): Config {
  const given = new Map<string, { value: unknown; source: string }>();
  for (const { source, values } of layers) {
    for (const [key, value] of Object.entries(values)) {
      if (fieldOf(key) === undefined) throw unknownKey(key, source);
      if (value !== undefined) given.set(key, { value, source });
    }
  }
  const parsed = configSchema.safeParse(
    Object.fromEntries([...given].map(([key, { value }]) => [key, value])),
  );
  if (!parsed.success) {
    const wrong = new Set(parsed.error.issues.map((issue) => String(issue.path[0])));
    const messages = [...wrong].map((key) => {
      const { value, source } = given.get(key) ?? { value: undefined, source: '' };
      return `${key} = ${show(value)}${inSource(source)}: expected ${fieldOf(key)?.expected}`;
    });
    const [field = ''] = wrong;
    throw new ConfigError(messages.join('; '), { field, value: given.get(field)?.value });
  }
  return inSchemaOrder({ ...parsed.data, ...deriveArchitecture(parsed.data) });
}

const inSchemaOrder = (config: Config): Config =>
  Object.fromEntries(
    fields.flatMap(({ key }) => (key in config ? [[key, config[key]]] : [])),
  ) as unknown as Config;

/** The layer of a named preset. Throws ConfigError for an unknown name. */
export function presetLayer(name: string): ConfigLayer {
  if (!Object.hasOwn(presets, name)) {
    const names = Object.keys(presets);
    throw new ConfigError(
      `preset = ${show(name)}: there is no such preset, only ${names.join(', ')}${suggestion(name, names)}`,
      { field: 'preset', value: name },
    );
  }
  return { source: `preset ${name}`, values: presets[name as PresetName] };
}

function unknownKey(key: string, source: string): ConfigError {
  const names = fields.map((field) => field.key);
  return new ConfigError(`unknown config key ${show(key)}${inSource(source)}${suggestion(key, names)}`, {
    field: key,
  });
}

const inSource = (source: string): string => (source === '' ? '' : ` in ${source}`);

/** A value as it would stand in a config file, cut to a readable length. */
function show(value: unknown): string {
  const text = (typeof value === 'number' ? String(value) : JSON.stringify(value)) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
