// Between 8-bit images and the networks' tensors.
#pragma once

#include <ATen/core/Tensor.h>

namespace san {

/// uint8 (B, H, W, C) -> (B, C, H, W) in [-1, 1], channels-last: v / 127.5 - 1.
at::Tensor from_bytes(const at::Tensor& bytes, at::ScalarType dtype);

/// (B, C, H, W) in [-1, 1] -> uint8 (B, H, W, C), contiguous, rounded to nearest.
at::Tensor to_bytes(const at::Tensor& images);

}  // namespace san
