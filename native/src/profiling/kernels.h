// The operations beside what their memory traffic would take.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

#include "san/config.h"

namespace san::profiling {

struct KernelTime {
  std::string name;
  /// What it reads and writes, as its params.h counts.
  double bytes;
  /// Median of a call.
  double seconds;
};

/// Times every operation of native/src/ops, forward and gradient, on images of `dtype` that hold `bytes`
/// bytes at least, and the update of all parameters of `model`. `bytes` should be far beyond the device's
/// cache.
std::vector<KernelTime> measure_kernels(const ModelConfig& model, const c10::Device& device,
                                        at::ScalarType dtype, int64_t bytes);

}  // namespace san::profiling
