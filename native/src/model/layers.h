// The parts of a module (spec, section 1, "Parts"), differentiable to any order.
#pragma once

#include <ATen/core/Tensor.h>

#include "san/network.h"

namespace san::layers {

/// LeakyReLU with the spec's slope of 0.2.
at::Tensor leaky_relu(const at::Tensor& x);

/// Channel attention: x times one gate per sample and channel.
at::Tensor attention(const AttentionParameters& p, const at::Tensor& x);

/// RPA: x times a gate computed at a quarter of the resolution.
at::Tensor rpa(const GateParameters& p, const at::Tensor& x);

/// ADO: x where the gate reaches the threshold, else 0; straight-through gradient for the gate.
at::Tensor ado(const GateParameters& p, const at::Tensor& x, double threshold);

/// One block of G, transposed convolution and skip; `stride` multiplies height and width.
at::Tensor generator_block(const BlockParameters& p, const at::Tensor& x, int64_t stride);

/// One block of R, convolution and skip; `stride` divides height and width.
at::Tensor reverser_block(const BlockParameters& p, const at::Tensor& x, int64_t stride);

}  // namespace san::layers
