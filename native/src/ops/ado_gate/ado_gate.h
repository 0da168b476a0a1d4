// Host entry; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops {

/// x where sigmoid(logits + bias) reaches the threshold, else 0, with the straight-through gradient; x and
/// logits of one size (B, C, H, W), bias (C). float32, float64 and bfloat16, on the CPU or a
/// GPU; result channels-last, differentiable to any order. SAN_NATIVE_REFERENCE=1 in the environment takes
/// ado_gate_reference.
at::Tensor ado_gate(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias, double threshold);

/// The same, built of ATen calls. ado_gate agrees but for pixels whose sigmoid is within 1e-6 of the
/// threshold in float32.
at::Tensor ado_gate_reference(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias,
                              double threshold);

}  // namespace san::ops
