// Host entry; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops {

/// LeakyReLU(PixelNorm(x)) over dimension 1 of (B, C, H, W); slope 1 leaves PixelNorm alone. float32 or
/// float64, result channels-last, differentiable to any order. SAN_NATIVE_REFERENCE=1 in the environment
/// takes norm_act_reference.
at::Tensor norm_act(const at::Tensor& x, double slope);

/// The same, built of ATen calls. norm_act agrees to 1e-6 of the largest value in float32, 1e-14 in float64.
at::Tensor norm_act_reference(const at::Tensor& x, double slope);

}  // namespace san::ops
