// Launch of emit's kernel (emit.cuh).
#pragma once

#include "ops/cuda/types.h"

namespace san::ops {

/// n values of x, float, double or Bf16, in memory order, become as many bytes.
template <typename T>
void launch_emit(const T* x, uint8_t* y, int64_t n, cudaStream_t stream);

}  // namespace san::ops
