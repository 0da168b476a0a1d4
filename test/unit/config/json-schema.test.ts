import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { fields } from '../../../lib/config/fields.js';
import { configJsonSchema } from '../../../lib/config/json-schema.js';
import { PRESET_NAMES, presets } from '../../../lib/config/presets.js';
import { presetLayer, resolveConfig } from '../../../lib/config/resolve.js';

// Strict: a keyword that JSON Schema does not know is an error. So is a union of types, of which there is none.
const validate = new Ajv2020({ strict: true }).compile(configJsonSchema());

describe('the JSON Schema', () => {
  it('describes every key', () => {
    const { properties } = configJsonSchema() as { properties: Record<string, { description: string }> };
    expect(Object.keys(properties)).toEqual(['$schema', ...fields.map(({ key }) => key)]);
    for (const { description } of Object.values(properties)) expect(description).not.toMatch(/^$|undefined/);
  });

  it.each(PRESET_NAMES)('takes the preset %s, short and resolved', (name) => {
    expect(validate(presets[name])).toBe(true);
    expect(validate({ $schema: './x.json', ...resolveConfig([presetLayer(name)]) })).toBe(true);
  });

  it.each<Record<string, unknown>>([
    { stepz: 3 },
    { steps: 1.5 },
    { steps: '3' },
    { lambda: 1.5 },
    { learningRate: 0 },
    { emaDecay: 1 },
    { background: 'white' },
    { estimator: 'exact' },
    { widths: [8] },
    { strides: [2, 2, 2, 2, 2, 3] },
    { imageChannels: 4 },
    { targets: ['lgj<1'] },
    { metrics: ['swd', 'fid'] },
  ])('refuses %o, as training does', (values) => {
    expect(validate(values)).toBe(false);
    expect(() => resolveConfig([{ source: '', values }])).toThrow();
  });
});
