// Channel attention's fused parts on tensors of a GPU, without a graph; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

#include "san/network.h"

namespace san::ops::cuda {

/// mean, scale (B, C), pre, hidden (B, hidden) in what x is accumulated in: what the gradient needs.
struct AttentionResult {
  at::Tensor y, mean, pre, hidden, scale;
};

/// x (B, C, H, W) channels-last; parameters of any type.
AttentionResult attention(const AttentionParameters& p, const at::Tensor& x);

struct AttentionGradient {
  /// All but dx in what x is accumulated in.
  at::Tensor dx, d_squeeze, d_squeeze_bias, d_excite, d_excite_bias;
};

/// For an incoming g as x, and the rest of what attention gave; its y is not looked at.
AttentionGradient attention_gradient(const at::Tensor& g, const at::Tensor& x, const AttentionParameters& p,
                                     const AttentionResult& forward);

}  // namespace san::ops::cuda
