// Host entry; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/norm_act_skip/params.h"

namespace san::ops {

/// LReLU(PixelNorm(LReLU(x + bias))) + skip over dimension 1 of x (B, C, H, W). `bias` (C) and `skip` may be
/// undefined; a skip of another height and width is brought to x's by nearest-neighbour upsampling or mean
/// pooling, one of other channels by the channel rule. float32, float64 and bfloat16, on
/// the CPU or a GPU; result channels-last, differentiable to any order. SAN_NATIVE_REFERENCE=1 in the
/// environment takes norm_act_skip_reference.
at::Tensor norm_act_skip(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& skip,
                         const NormActSlopes& slopes);

/// The same, built of ATen calls. norm_act_skip agrees to 1e-6 of the largest value in float32, 1e-14 in
/// float64.
at::Tensor norm_act_skip_reference(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& skip,
                                   const NormActSlopes& slopes);

}  // namespace san::ops
