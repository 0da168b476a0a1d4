import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ArchitectureInput, deriveArchitecture } from '../../../lib/config/architecture.js';
import { ConfigError } from '../../../lib/errors.js';

const derive = (input: Partial<ArchitectureInput>) =>
  deriveArchitecture({ imageSize: 32, baseWidth: 16, maxWidth: 128, ...input });

const product = (numbers: readonly number[]) => numbers.reduce((a, b) => a * b, 1);

describe('the derived architecture', () => {
  it('keeps every rule of spec section 1, whatever the size and widths', () => {
    const widths = fc
      .tuple(fc.integer({ min: 1, max: 4096 }), fc.integer({ min: 1, max: 4096 }))
      .map(([a, b]) => ({ baseWidth: Math.min(a, b), maxWidth: Math.max(a, b) }));
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 1024 }), widths, (imageSize, limits) => {
        const { widths, strides, latentChannels, latentSize } = derive({ imageSize, ...limits });
        expect(widths).toHaveLength(7);
        expect(strides).toHaveLength(6);
        expect(latentSize * product(strides)).toBe(imageSize);
        expect(latentChannels).toBeGreaterThanOrEqual(4);
        expect(widths[6]).toBe(limits.baseWidth);
        for (const [i, width] of widths.entries()) {
          const next = widths[i + 1] ?? width;
          expect(width % next === 0 || next % width === 0).toBe(true);
          expect(width).toBeLessThanOrEqual(limits.maxWidth);
        }
      }),
    );
  });

  it.each([
    [16, 1, [1, 1, 2, 2, 2, 2], 64, [128, 128, 128, 128, 64, 32, 16]],
    [28, 7, [1, 1, 1, 1, 2, 2], 4, [64, 64, 64, 64, 64, 32, 16]],
    [32, 1, [1, 2, 2, 2, 2, 2], 64, [128, 128, 128, 128, 64, 32, 16]],
    [64, 1, [2, 2, 2, 2, 2, 2], 64, [128, 128, 128, 128, 64, 32, 16]],
    [128, 2, [2, 2, 2, 2, 2, 2], 16, [128, 128, 128, 128, 64, 32, 16]],
    [33, 33, [1, 1, 1, 1, 1, 1], 4, [16, 16, 16, 16, 16, 16, 16]],
  ])('at %i pixels has latents of %i pixels', (imageSize, latentSize, strides, latentChannels, widths) => {
    expect(derive({ imageSize })).toEqual({ latentSize, strides, latentChannels, widths });
  });

  it('builds around what is given', () => {
    expect(derive({ latentSize: 4 })).toMatchObject({ strides: [1, 1, 1, 2, 2, 2], latentChannels: 4 });
    expect(derive({ strides: [1, 1, 1, 1, 2, 2] })).toMatchObject({ latentSize: 8 });
    expect(derive({ latentChannels: 7 })).toMatchObject({ latentChannels: 7, latentSize: 1 });
    expect(derive({ widths: [4, 4, 8, 2, 2, 2, 6] }).widths).toEqual([4, 4, 8, 2, 2, 2, 6]);
  });

  it.each<[Partial<ArchitectureInput>, RegExp]>([
    [{ widths: [16, 12, 8, 8, 8, 4, 4] }, /^widths\[0\] = 16 and widths\[1\] = 12: /],
    [{ widths: [16, 16, 8, 8, 8, 5, 5] }, /^widths\[4\] = 8 and widths\[5\] = 5: /],
    [{ strides: [2, 2, 2, 2, 2, 2] }, /^imageSize = 32 does not agree with strides = 2,2,2,2,2,2: .* 64/],
    [
      { strides: [2, 1, 1, 1, 1, 1], latentSize: 8 },
      /imageSize = 32 .*strides = 2,1,1,1,1,1.*latentSize = 8.*16/,
    ],
    [{ latentSize: 3 }, /^imageSize = 32 cannot be reached from latentSize = 3/],
    [{ latentSize: 64 }, /^imageSize = 32 cannot be reached from latentSize = 64/],
    [{ imageSize: 1024, latentSize: 1 }, /^imageSize = 1024 cannot be reached from latentSize = 1/],
    [{ baseWidth: 64, maxWidth: 32 }, /^baseWidth = 64 is larger than maxWidth = 32/],
  ])('refuses %o, naming both keys and values', (input, message) => {
    expect(() => derive(input)).toThrow(ConfigError);
    expect(() => derive(input)).toThrow(message);
  });
});
