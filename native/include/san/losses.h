// The losses (spec, section 2) as functions of latents and images.
#pragma once

#include <ATen/core/Tensor.h>

#include "san/config.h"
#include "san/network.h"

namespace san {

/// Unit directions on which latents are projected.
struct Directions {
  /// (D, P), unit columns.
  at::Tensor random;
  /// Project on the D coordinate axes as well (`normal` estimator).
  bool axes = false;
};

/// WD between latents `a` and `b`, both (B, ...), flattened to (B, D): a scalar, differentiable in `a`.
/// `normal` takes nothing but the batch size from `b`; `sinkhorn` takes no directions.
at::Tensor wasserstein_distance(const LossConfig& config, const at::Tensor& a, const at::Tensor& b,
                                const Directions& directions);

/// The permutation p that minimises sum_i ||rows_i - columns_p(i)||^2, as int64 indices (B). No gradient.
at::Tensor optimal_assignment(const at::Tensor& rows, const at::Tensor& columns);

/// mean((||d<R(h), u>/dh|| - 1)^2) at h = e X + (1 - e) fake; no gradient into `fake`.
/// e: (B, 1, 1, 1) in [0, 1]; u: (B, D) unit rows. Differentiable in R's parameters.
at::Tensor gradient_penalty(const ModelConfig& config, const NetworkParameters& reverser,
                            const at::Tensor& real, const at::Tensor& fake, const at::Tensor& e,
                            const at::Tensor& u);

}  // namespace san
