// ado_gate's fused parts on tensors of a GPU, without a graph; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops::cuda {

/// x and logits (B, C, H, W) channels-last, of one type; bias (C) of any.
at::Tensor ado_gate(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias, double threshold);

struct AdoGateGradient {
  /// d_bias (C) in what x is accumulated in.
  at::Tensor dx, d_logits, d_bias;
};

AdoGateGradient ado_gate_gradient(const at::Tensor& g, const at::Tensor& x, const at::Tensor& logits,
                                  const at::Tensor& bias, double threshold);

}  // namespace san::ops::cuda
