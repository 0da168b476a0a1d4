// Activations in memory, and the memory of one thread.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>

#include "inference/packed/weights.h"

namespace san::packed {

/// Pixels (height, width + 2, images, step): `step` numbers or words for each.
struct Plane {
  float* data;
  int64_t height, width, images, step;

  int64_t pitch() const { return (width + 2) * images * step; }
  /// The first pixel of a row, behind the column of zeros.
  float* row(int64_t y) const { return data + y * pitch() + images * step; }
  int64_t row_pixels() const { return width * images; }

  static int64_t numbers(int64_t height, int64_t width, int64_t images, int64_t step) {
    return height * (width + 2) * images * step;
  }

  /// Zeros at either side, which a 3x3 convolution reads.
  void clear_sides() const {
    for (int64_t y = 0; y < height; ++y) {
      std::fill_n(row(y) - images * step, images * step, 0.0f);
      std::fill_n(row(y) + width * images * step, images * step, 0.0f);
    }
  }
};

/// output = convolution of input, whose sides must be clear unless it is a Reach::point.
void convolve(const Kernels& kernels, const Convolution& convolution, const Plane& input,
              const Plane& output);

}  // namespace san::packed
