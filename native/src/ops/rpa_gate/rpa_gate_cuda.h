// rpa_gate's fused parts on tensors of a GPU, without a graph; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops::cuda {

struct RpaGate {
  /// y as x; s as `normal`, in what x is accumulated in.
  at::Tensor y, s;
};

/// x * bilinear(sigmoid(normal)): x (B, C, H, W) and normal (B, C, h, w) channels-last, of one type.
RpaGate rpa_gate(const at::Tensor& x, const at::Tensor& normal);

struct RpaGateGradient {
  at::Tensor dx, d_normal;
};

/// For an incoming g as x, and the s of rpa_gate.
RpaGateGradient rpa_gate_gradient(const at::Tensor& g, const at::Tensor& x, const at::Tensor& s);

}  // namespace san::ops::cuda
