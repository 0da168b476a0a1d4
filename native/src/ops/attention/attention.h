// Host entry; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

#include "san/network.h"

namespace san::ops {

/// Channel attention on x (B, C, H, W): result channels-last, float32 or float64, differentiable to any
/// order.
at::Tensor attention(const AttentionParameters& p, const at::Tensor& x);

/// The same, built of ATen calls. attention agrees to 1e-6 of the largest value in float32, 1e-14 in float64.
at::Tensor attention_reference(const AttentionParameters& p, const at::Tensor& x);

}  // namespace san::ops
