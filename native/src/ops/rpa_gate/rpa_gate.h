// Host entry; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops {

/// x * bilinear(sigmoid(PixelNorm(logits + bias))): x (B, C, H, W), logits (B, C, h, w) with h <= H and w <=
/// W, bias (C). float32, float64 and bfloat16, on the CPU or a GPU; result channels-last, differentiable
/// to any order. SAN_NATIVE_REFERENCE=1 in the environment takes rpa_gate_reference.
at::Tensor rpa_gate(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias);

/// The same, built of ATen calls. rpa_gate agrees to 1e-6 of the largest value in float32, 1e-14 in float64.
at::Tensor rpa_gate_reference(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias);

}  // namespace san::ops
