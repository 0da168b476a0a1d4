import { deriveArchitecture } from '../../config/architecture.js';
import { deriveAugmentation } from '../../config/augmentation.js';
import { fields } from '../../config/fields.js';
import { type Config, configSchema } from '../../config/schema.js';

export interface Setting {
  key: string;
  group: string;
  description: string;
  value: string;
  /** What it would be if nobody had set it. */
  default: string;
  changed: boolean;
}

/** Keys whose default depends on other settings. */
const DERIVED = ['widths', 'strides', 'latentChannels', 'latentSize'];

/** All settings of a run that have a value or a default, in the schema's order. */
export function listSettings(config: Config): Setting[] {
  const defaults: Record<string, unknown> = {
    ...configSchema.parse({}),
    ...derivedOf(config),
    ...deriveAugmentation({ augment: config.augment }),
  };
  return fields.map(({ key, group, description, default: shown }) => {
    const value = config[key];
    const usual = defaults[key];
    return {
      key,
      group,
      description,
      value: value === undefined ? shown : show(value),
      default: usual === undefined ? shown : show(usual),
      changed: value !== undefined && JSON.stringify(value) !== JSON.stringify(usual),
    };
  });
}

/** Empty where the image size alone gives no architecture. */
function derivedOf(config: Config): Record<string, unknown> {
  try {
    const given = Object.entries(config).filter(([key]) => !DERIVED.includes(key));
    return { ...deriveArchitecture(configSchema.parse(Object.fromEntries(given))) };
  } catch {
    return {};
  }
}

const show = (value: unknown): string =>
  Array.isArray(value) ? value.join(', ') || 'none' : typeof value === 'number' ? String(value) : `${value}`;
