// How fast a machine multiplies, adds and moves numbers, measured.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace san::profiling {

/// Floating-point operations a second, a multiplication and an addition counted as two.
struct Peak {
  /// Of a product of two square matrices.
  double matmul;
  /// Of a 3x3 convolution, channels-last, of 64 channels on the processor and 256 on a GPU.
  double convolution;
  /// Of a copy within the device's memory: bytes a second, those read and those written.
  double copy;
};

/// Takes less than a second of the calling thread and its pool, or of the device.
Peak measure_peak(const c10::Device& device, at::ScalarType dtype);

}  // namespace san::profiling
