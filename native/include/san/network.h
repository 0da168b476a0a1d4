// The two networks as functions of their parameters (spec, section 1).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <string>

#include "san/config.h"
#include "san/parameters.h"

namespace san {

/// Channel attention: squeeze (hidden, C), excite (C, hidden), each with bias.
struct AttentionParameters {
  at::Tensor squeeze_weight, squeeze_bias, excite_weight, excite_bias;
};

/// RPA or ADO: squeeze (hidden, C, 3, 3), gate (C, hidden, 3, 3), each with bias.
struct GateParameters {
  at::Tensor squeeze_weight, squeeze_bias, gate_weight, gate_bias;
};

/// One attention/convolution block; the kernel is (Cin_G, Cout_G, 3, 3) in either network.
struct BlockParameters {
  at::Tensor kernel, bias;
  AttentionParameters attention;
};

struct ModuleParameters {
  std::array<BlockParameters, kBlocks> blocks;
  GateParameters ado, rpa;
};

struct HeadParameters {
  at::Tensor kernel, bias;
};

/// Everything one network needs, by role.
struct NetworkParameters {
  HeadParameters latent, image;
  std::array<ModuleParameters, kModules> modules;
};

/// Arranges the tensors that `lookup` gives for checkpoint names into roles.
NetworkParameters arrange(Net net, const std::function<at::Tensor(const std::string&)>& lookup);

/// The same, the kernels of convolutions in `dtype`, such as bfloat16. Biases and the attention's layers stay
/// as they are.
NetworkParameters with_kernels_in(const NetworkParameters& parameters, at::ScalarType dtype);

// Both compute in the kernels' dtype, such as bfloat16; their inputs' may be another, which is that of the
// result. Both are differentiable to second order; to first order with `recompute`, which keeps no more than
// the input of each module for the backward pass, and runs the modules again there.

/// G: latents (B, Zc, Sz, Sz) -> images (B, C, S, S) in [-1, 1].
at::Tensor generate(const ModelConfig& config, const NetworkParameters& parameters, const at::Tensor& z,
                    bool recompute = false);

/// R: images (B, C, S, S) -> latents (B, Zc, Sz, Sz).
at::Tensor reverse(const ModelConfig& config, const NetworkParameters& parameters, const at::Tensor& x,
                   bool recompute = false);

}  // namespace san
