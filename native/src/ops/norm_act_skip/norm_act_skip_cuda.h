// norm_act_skip's fused parts on tensors of a GPU, without a graph; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/norm_act_skip/params.h"

namespace san::ops::cuda {

struct NormAct {
  /// y as x; r (B H W) in what x is accumulated in.
  at::Tensor y, r;
};

/// x (B, C, H, W) channels-last, float32, float64 or bfloat16; bias (C) and skip (channels-last) may be
/// undefined.
NormAct norm_act_skip(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& skip,
                      const NormActSlopes& slopes);

struct NormActGradient {
  /// d_bias (C), in what x is accumulated in; undefined where there is no bias.
  at::Tensor dx, d_bias;
};

/// For an incoming g as x, and the r of norm_act_skip.
NormActGradient norm_act_skip_gradient(const at::Tensor& g, const at::Tensor& x, const at::Tensor& bias,
                                       const at::Tensor& r, const NormActSlopes& slopes);

/// As ops::skip_gradient.
at::Tensor skip_gradient(const at::Tensor& g, at::IntArrayRef skip_sizes);

}  // namespace san::ops::cuda
