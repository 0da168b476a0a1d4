import { describe, expect, it } from 'vitest';
import { AUGMENTATION_NAMES, AUGMENTATIONS } from '../../../lib/config/augmentation.js';
import { resolveConfig, resolveWithOrigins } from '../../../lib/config/resolve.js';
import { augmentationOptions } from '../../../lib/config/schema.js';
import { trainerOptions } from '../../../lib/training/trainer-options.js';
import { fakeAddon } from '../support/fake-addon.js';

const resolved = (values: Record<string, unknown>) => resolveConfig([{ source: '', values }]);

describe('augmentation settings', () => {
  it('change nothing by default', () => {
    expect(augmentationOptions(resolved({}))).toEqual(AUGMENTATIONS.none);
  });

  it.each(AUGMENTATION_NAMES)('%s gives its values, all within their ranges', (augment) => {
    const config = resolved({ augment });
    expect(augmentationOptions(config)).toEqual(AUGMENTATIONS[augment]);
    // Given one by one they pass the schema as well, as those of a frozen config do.
    expect(resolved({ ...config })).toEqual(config);
    expect(trainerOptions(config, fakeAddon().addon).augmentation).toEqual(AUGMENTATIONS[augment]);
  });

  it('single keys override the set, and tell where they come from', () => {
    const layers = [{ source: '', values: { augment: 'drawings', rotate: 0, cutout: 0.2 } }];
    const { config, origins } = resolveWithOrigins(layers);
    expect(augmentationOptions(config)).toEqual({ ...AUGMENTATIONS.drawings, rotate: 0, cutout: 0.2 });
    expect(origins.get('rotate')).toEqual({ kind: 'given', source: '' });
    expect(origins.get('flipHorizontal')).toEqual({ kind: 'derived', from: 'augment' });
  });

  it('a strength alone acts on every image', () => {
    expect(resolved({ translate: 0.1 })).toMatchObject({
      augment: 'none',
      translate: 0.1,
      translateProbability: 1,
    });
  });

  it('refuses what is out of range, with the range', () => {
    expect(() => resolved({ hue: 0.6 })).toThrow('hue = 0.6: expected a number from 0 to 0.5');
    expect(() => resolved({ augment: 'photograph' })).toThrow(/did you mean photographs/);
  });
});
