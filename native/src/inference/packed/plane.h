// Activations in memory, and the memory of one thread.
#pragma once

#include <ATen/ATen.h>
#include <c10/util/FunctionRef.h>

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

/// Memory that grows to what is asked for, on a cache line of its own.
class Scratch {
 public:
  float* numbers(int64_t count) {
    if (!memory_.defined() || memory_.numel() < count) memory_ = at::empty({count}, at::kFloat);
    return memory_.mutable_data_ptr<float>();
  }

 private:
  at::Tensor memory_;
};

/// Told of rows of the output, first ... end - 1, once they are there: in order, while they are in a near
/// cache.
using RowsDone = c10::function_ref<void(int64_t first, int64_t end)>;

/// output = convolution of input, whose sides must be clear unless it is a Reach::point. Not for tiles.
void convolve(const Kernels& kernels, const Convolution& convolution, const Plane& input, const Plane& output,
              RowsDone done);
inline void convolve(const Kernels& kernels, const Convolution& convolution, const Plane& input,
                     const Plane& output) {
  convolve(kernels, convolution, input, output, [](int64_t, int64_t) {});
}

/// The same in tiles. The input is float32, whatever a word is, and is multiplied by `gates`, (images, step),
/// unless these are null.
void convolve_tiles(const Kernels& kernels, const Convolution& convolution, const Plane& input,
                    const float* gates, const Plane& output, Scratch& scratch, RowsDone done);

}  // namespace san::packed
