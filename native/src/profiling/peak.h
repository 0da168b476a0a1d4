// How fast this machine multiplies and adds, measured.
#pragma once

namespace san::profiling {

/// Floating-point operations a second in float32, a multiplication and an addition counted as two.
struct Peak {
  /// Of a product of two square matrices.
  double matmul;
  /// Of a 3x3 convolution, channels-last, of 64 channels.
  double convolution;
};

/// Takes about half a second of the calling thread and its pool.
Peak measure_peak();

}  // namespace san::profiling
