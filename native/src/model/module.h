// One of the six modules of a network (spec, section 1, "Generator module", "Reverser module").
#pragma once

#include <ATen/core/Tensor.h>

#include "san/network.h"

namespace san {

struct ModuleSettings {
  Net net;
  int64_t stride;
  double ado_threshold;
  /// Nothing but x is kept for the backward pass, which runs the module again; without second derivatives.
  bool recompute = false;
};

/// x (B, C, H, W) through the module, differentiable.
at::Tensor run_module(const ModuleParameters& parameters, const at::Tensor& x,
                      const ModuleSettings& settings);

}  // namespace san
