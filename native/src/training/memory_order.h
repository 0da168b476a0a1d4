// The order in memory that parameters and what belongs to them have.
#pragma once

#include <ATen/core/Tensor.h>

namespace san {

/// Kernels lie channels-last, all else in order; updates run over memory, not over indices.
inline at::Tensor in_memory_order(const at::Tensor& values) {
  return values.dim() == 4 ? values.contiguous(at::MemoryFormat::ChannelsLast) : values.contiguous();
}

}  // namespace san
