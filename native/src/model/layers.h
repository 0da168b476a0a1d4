// The parts of a module (spec, section 1, "Parts"), built of ATen calls that differentiate to any order.
#pragma once

#include <ATen/core/Tensor.h>

#include "san/network.h"

namespace san::layers {

/// LeakyReLU with the spec's slope of 0.2.
at::Tensor leaky_relu(const at::Tensor& x);

/// x / sqrt(mean over channels of x^2 + 1e-8), (B, C, H, W).
at::Tensor pixel_norm(const at::Tensor& x);

/// LeakyReLU(PixelNorm(x)).
at::Tensor norm_act(const at::Tensor& x);

/// Channel attention: x times one gate per sample and channel.
at::Tensor attention(const AttentionParameters& p, const at::Tensor& x);

/// RPA: x times a gate computed at a quarter of the resolution.
at::Tensor rpa(const GateParameters& p, const at::Tensor& x);

/// ADO: x where the gate reaches the threshold, else 0; straight-through gradient for the gate.
at::Tensor ado(const GateParameters& p, const at::Tensor& x, double threshold);

/// Nearest-neighbour to stride times the size, then the channel rule.
at::Tensor up(const at::Tensor& x, int64_t stride, int64_t channels);

/// Mean pooling by the stride, then the channel rule.
at::Tensor down(const at::Tensor& x, int64_t stride, int64_t channels);

}  // namespace san::layers
