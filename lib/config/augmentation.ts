/** Named sets of augmentations, and what they leave for single keys to override. */
import type { AugmentationOptions } from '../native.js';

/** Nothing changes; a strength that is given alone then acts on every image. */
const NONE: AugmentationOptions = {
  flipHorizontal: 0,
  flipVertical: 0,
  rotate90: 0,
  rotate: 0,
  rotateProbability: 1,
  translate: 0,
  translateProbability: 1,
  cropScale: 1,
  cropProbability: 1,
  brightness: 0,
  brightnessProbability: 1,
  contrast: 0,
  contrastProbability: 1,
  saturation: 0,
  saturationProbability: 1,
  hue: 0,
  hueProbability: 1,
  cutout: 0,
  cutoutProbability: 1,
};

/**
 * Mild ones: the networks learn to draw whatever they are shown. No set has a cutout, which would be learnt as grey
 * squares.
 */
export const AUGMENTATIONS = {
  none: NONE,
  /** Other framings and other light, as a second photograph of the scene has them. */
  photographs: {
    ...NONE,
    flipHorizontal: 0.5,
    cropScale: 0.8,
    cropProbability: 0.5,
    brightness: 0.1,
    brightnessProbability: 0.5,
    contrast: 0.1,
    contrastProbability: 0.5,
    saturation: 0.2,
    saturationProbability: 0.5,
    hue: 0.02,
    hueProbability: 0.5,
  },
  /** Icons, emoji, drawings on white: white and grey stay as they are. */
  drawings: {
    ...NONE,
    flipHorizontal: 0.5,
    rotate: 8,
    rotateProbability: 0.5,
    translate: 0.05,
    saturation: 0.2,
    saturationProbability: 0.5,
    hue: 0.05,
    hueProbability: 0.5,
  },
  /** Characters, of which a mirror image is another one or none. */
  digits: { ...NONE, rotate: 10, translate: 0.08, cropScale: 0.85, cropProbability: 0.5 },
} as const satisfies Record<string, AugmentationOptions>;

export type AugmentationName = keyof typeof AUGMENTATIONS;
export const AUGMENTATION_NAMES = Object.keys(AUGMENTATIONS) as AugmentationName[];

export const isAugmentationKey = (key: string): boolean => key in NONE;

/** The set's values, with those of `given` that are there over them. */
export function deriveAugmentation(
  given: { augment: AugmentationName } & Partial<AugmentationOptions>,
): AugmentationOptions {
  const keys = Object.keys(NONE) as (keyof AugmentationOptions)[];
  const values = keys.map((key) => [key, given[key] ?? AUGMENTATIONS[given.augment][key]]);
  return Object.fromEntries(values) as unknown as AugmentationOptions;
}
