// Host entry; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops {

/// x where sigmoid(logits) >= threshold, else 0, with the straight-through gradient. x and logits (B, C, H,
/// W); result channels-last, float32 or float64, differentiable to any order.
at::Tensor ado_gate(const at::Tensor& x, const at::Tensor& logits, double threshold);

/// The same, built of ATen calls; ado_gate agrees to the last bit or two.
at::Tensor ado_gate_reference(const at::Tensor& x, const at::Tensor& logits, double threshold);

}  // namespace san::ops
