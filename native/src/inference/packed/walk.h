// The modules of a network for images side by side, in the memory of one thread.
#pragma once

#include "inference/packed/plane.h"

namespace san::packed {

/// Activations of one network on their way. Not for several threads.
class Walk {
 public:
  /// `most` numbers in the largest plane.
  Walk(const ModelConfig& config, const Weights& weights, const Kernels& kernels, int64_t most);

  /// A plane for the input of what comes next.
  Plane& start(int64_t height, int64_t width, int64_t images, int64_t channels);
  const Plane& now() const { return x_; }
  int64_t channels() const { return channels_; }

  void generator_module(int m);
  void reverser_module(int m);

  /// Memory for one more plane, as words or numbers; valid until the next module.
  float* spare() const { return words_; }

 private:
  Row row_of(const Plane& plane, int64_t real) const {
    return {plane.row_pixels(), plane.images, plane.step, real};
  }
  Plane plane(float* data, int64_t height, int64_t width, int64_t channels) const;
  /// Where a convolution's input is put: float32 for tiles, else words.
  const Kernels& of_input(const Convolution& c) const { return c.tile > 0 ? float_kernels() : kernels_; }
  Plane input_plane(const Convolution& c, float* data, int64_t height, int64_t width, int64_t channels) const;
  void run(const Convolution& c, const Plane& input, const Plane& output, RowsDone done);
  /// `attended`: a block follows, which needs the sums of the pixels.
  void ado(const Gate& gate, bool attended);
  void rpa(const Gate& gate, bool attended);
  void block(const Block& block, int64_t stride, bool up, int64_t out, bool attended);
  void begin_sums(int64_t channels);
  /// The attention's gates for the image from the sums: (images, channels).
  const float* attention(const Block& block);
  /// Row `y` of the skip for a plane of `out` channels.
  const float* skip_row(int64_t y, int64_t stride, bool up, int64_t out);

  const ModelConfig& config_;
  const Weights& weights_;
  const Kernels& kernels_;
  at::Tensor memory_;
  float *other_, *words_, *more_words_;
  Plane x_;
  int64_t channels_ = 0;
  float threshold_;
  Scratch tiles_, sums_, hidden_, gates_, skip_, low_;
};

}  // namespace san::packed
