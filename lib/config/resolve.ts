/** Several layers of settings into one checked config. */
import type { z } from 'zod';
import { ConfigError } from '../errors.js';
import { type Architecture, DERIVED_FROM, deriveArchitecture } from './architecture.js';
import { deriveAugmentation, isAugmentationKey } from './augmentation.js';
import { crossCheck } from './cross-checks.js';
import { fieldOf, fields } from './fields.js';
import { hint } from './hints.js';
import { suggestion } from './nearest.js';
import { PRESET_NAMES, presets } from './presets.js';
import {
  type Config,
  type ConfigInput,
  type ConfigKey,
  configSchema,
  type ImageFormat,
  imageFormatSchema,
} from './schema.js';

export interface ConfigLayer {
  /** Where the values come from, for messages: a file's name; empty for flags and API options. */
  source: string;
  values: Readonly<Record<string, unknown>>;
}

/** Where the value of a key comes from. */
export type Origin =
  | { kind: 'default' }
  /** Worked out from other keys, named in words. */
  | { kind: 'derived'; from: string }
  /** Given by a layer: its source. */
  | { kind: 'given'; source: string };

export interface ResolvedConfig {
  config: Config;
  /** An entry for each key of `config`. */
  origins: ReadonlyMap<ConfigKey, Origin>;
}

/**
 * Later layers win over earlier ones and over the schema's defaults; undefined values count as absent.
 * Throws ConfigError: an unknown key with its nearest name, a value out of range with the range, or two keys that
 * disagree with both values.
 */
export const resolveConfig = (layers: readonly ConfigLayer[]): Config => resolveWithOrigins(layers).config;

/** The same, and where each value comes from. */
export function resolveWithOrigins(layers: readonly ConfigLayer[]): ResolvedConfig {
  const given = gather(layers);
  const data = parse(configSchema, given);
  const config = inSchemaOrder({ ...data, ...deriveArchitecture(data), ...deriveAugmentation(data) });
  crossCheck(config);
  const origin = (key: ConfigKey): Origin => {
    const source = given.get(key)?.source;
    if (source !== undefined) return { kind: 'given', source };
    const from = isAugmentationKey(key) ? 'augment' : DERIVED_FROM[key as keyof Architecture];
    return from === undefined ? { kind: 'default' } : { kind: 'derived', from };
  };
  const keys = Object.keys(config) as ConfigKey[];
  return { config, origins: new Map(keys.map((key) => [key, origin(key)])) };
}

/**
 * The settings of pixels alone, by the same rules; no architecture has to fit them. Throws ConfigError as above.
 */
export const resolveImageFormat = (values: Readonly<Record<string, unknown>>): ImageFormat =>
  parse(imageFormatSchema, gather([{ source: '', values }], Object.keys(imageFormatSchema.shape)));

/** Value and source of each key that is given, of those that are `known`. */
type Given = Map<string, { value: unknown; source: string }>;

function gather(layers: readonly ConfigLayer[], known = fields.map(({ key }): string => key)): Given {
  const given: Given = new Map();
  for (const { source, values } of layers) {
    for (const [key, value] of Object.entries(values)) {
      if (!known.includes(key)) throw unknownKey(key, source, known);
      if (value !== undefined) given.set(key, { value, source });
    }
  }
  return given;
}

function parse<S extends z.ZodType>(schema: S, given: Given): z.output<S> {
  const parsed = schema.safeParse(Object.fromEntries([...given].map(([key, { value }]) => [key, value])));
  if (parsed.success) return parsed.data;
  const wrong = new Set(parsed.error.issues.map((issue) => String(issue.path[0])));
  const messages = [...wrong].map((key) => {
    const { value, source } = given.get(key) ?? { value: undefined, source: '' };
    return `${key} = ${show(value)}${inSource(source)}: expected ${fieldOf(key)?.expected}${hint(key, value)}`;
  });
  const [field = ''] = wrong;
  throw new ConfigError(messages.join('; '), { field, value: given.get(field)?.value });
}

const inSchemaOrder = (config: Config): Config =>
  Object.fromEntries(
    fields.flatMap(({ key }) => (key in config ? [[key, config[key]]] : [])),
  ) as unknown as Config;

/** The layer of a named preset. Throws ConfigError for an unknown name. */
export function presetLayer(name: string | number): ConfigLayer {
  const values = Object.hasOwn(presets, name)
    ? (presets as Readonly<Record<string, ConfigInput>>)[name]
    : undefined;
  if (values === undefined) {
    throw new ConfigError(
      `preset = ${show(name)}: there is no such preset, only ${PRESET_NAMES.join(', ')}${suggestion(String(name), PRESET_NAMES)}`,
      { field: 'preset', value: name },
    );
  }
  return { source: `preset ${name}`, values };
}

function unknownKey(key: string, source: string, names: readonly string[]): ConfigError {
  return new ConfigError(`unknown config key ${show(key)}${inSource(source)}${suggestion(key, names)}`, {
    field: key,
  });
}

const inSource = (source: string): string => (source === '' ? '' : ` in ${source}`);

/** A value as it would stand in a config file, cut to a readable length. */
function show(value: unknown): string {
  // No file has one, and JSON none either.
  if (typeof value === 'bigint') return `${value}n`;
  const text = (typeof value === 'number' ? String(value) : JSON.stringify(value)) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
