// Launches of the generator's kernels (random.cuh has what they do).
#pragma once

#include "ops/cuda/types.h"

namespace san::random {

/// Where the index comes from: first, or first + *step * stride with a step counted on the device.
struct DeviceIndex {
  uint64_t first;
  const int64_t* step = nullptr;
  uint64_t stride = 0;
};

/// out: (rows, n), contiguous; row r has the numbers of (seed, stream, index + r).
struct FillParams {
  float* out;
  int64_t rows, n;
  uint64_t seed;
  uint32_t stream;
  DeviceIndex index;
};

/// values: (rows, n), contiguous, as random::redraw_beyond() takes them.
struct RedrawParams {
  float* values;
  int64_t rows, n;
  uint64_t seed;
  uint32_t stream;
  uint64_t first;
  double threshold;
};

void launch_normal(const FillParams& p, cudaStream_t stream);
void launch_uniform(const FillParams& p, cudaStream_t stream);
void launch_redraw(const RedrawParams& p, cudaStream_t stream);

}  // namespace san::random
