// Random changes of training images, a function of seed, epoch and image alone.
#pragma once

#include <cstdint>

namespace san {

/// Probabilities and strengths; all at rest by default. docs/data.md has the formulas.
struct AugmentationConfig {
  /// Probability of a mirror image, left for right and top for bottom.
  double flip_horizontal = 0, flip_vertical = 0;
  /// Probability of a turn by 90, 180 or 270 degrees, each equally often.
  double rotate90 = 0;
  /// Largest turn to either side in degrees, 0 to 180.
  double rotate = 0, rotate_probability = 1;
  /// Largest shift in each direction as a share of the width, 0 to 0.5; by whole pixels.
  double translate = 0, translate_probability = 1;
  /// Smallest area of a crop, as a share of the image, above 0 to 1; 1 for none.
  double crop_scale = 1, crop_probability = 1;
  /// Factors from 1 - x to 1 + x, 0 to 1; contrast about mid-grey, saturation about the luma.
  double brightness = 0, brightness_probability = 1;
  double contrast = 0, contrast_probability = 1;
  double saturation = 0, saturation_probability = 1;
  /// Largest turn of the colours to either side, 0 to 0.5 of a whole turn.
  double hue = 0, hue_probability = 1;
  /// Side of a grey square, as a share of the width, 0 to 1.
  double cutout = 0, cutout_probability = 1;

  /// Throws ERR_SAN_OPTIONS.
  void validate() const;
  /// Whether any image can be changed.
  bool any() const;
};

}  // namespace san
