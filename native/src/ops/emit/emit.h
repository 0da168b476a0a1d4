// Host entry; params.h has the formula.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops {

/// (B, C, H, W) in [-1, 1], float32 or float64 -> uint8 (B, H, W, C), contiguous. One pass where channels are
/// innermost in memory, as the generator leaves them; other layouts are laid out first.
/// SAN_NATIVE_REFERENCE=1 in the environment takes emit_reference.
at::Tensor emit(const at::Tensor& images);

#ifdef SAN_NATIVE_CUDA
/// The same on a GPU; bfloat16 as well.
at::Tensor emit_on_device(const at::Tensor& images);
#endif

/// The same, built of ATen calls; equal but for NaN, which it leaves to the platform.
at::Tensor emit_reference(const at::Tensor& images);

}  // namespace san::ops
