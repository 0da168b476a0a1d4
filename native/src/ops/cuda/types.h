// Types that host code and kernels share without each other's headers.
#pragma once

#include <cstdint>

#if defined(SAN_NATIVE_CUDA) || defined(__CUDACC__)
#include <cuda_runtime_api.h>
#else
#include "cuda_emulation/types.h"
#endif

namespace san::ops::cuda {

/// A bfloat16 in memory.
struct Bf16 {
  uint16_t bits;
};

}  // namespace san::ops::cuda
