// The losses (spec, section 2) as functions of latents and images.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "san/config.h"
#include "san/network.h"

namespace san {

/// Unit directions on which latents are projected.
struct Directions {
  /// (D, P), unit columns.
  at::Tensor random;
  /// So many of the D coordinate axes are projected on as well (`normal` estimator), from the first one on.
  int64_t axes = 0, first_axis = 0;

  int64_t count() const { return axes + random.size(1); }
  /// Those from `first` to before `last`, where the axes come first.
  Directions part(int64_t first, int64_t last) const;
};

/// WD between latents `a` and `b`, both (B, ...), flattened to (B, D): a scalar, differentiable in `a`.
/// `normal` takes nothing but the batch size from `b`; `sinkhorn` takes no directions.
at::Tensor wasserstein_distance(const LossConfig& config, const at::Tensor& a, const at::Tensor& b,
                                const Directions& directions);

/// The permutation p that minimises sum_i ||rows_i - columns_p(i)||^2, as int64 indices (B). No gradient.
at::Tensor optimal_assignment(const at::Tensor& rows, const at::Tensor& columns);

/// LGI: the sum over s of scales[s] * MSE of the two after s halvings, each of which averages squares of 2 x
/// 2 pixels, cut at an odd edge. Both (B, C, S, S); a scalar, differentiable in both.
at::Tensor image_error(const at::Tensor& a, const at::Tensor& b, const std::vector<double>& scales);

/// The penalty of PenaltyForm::wgan_gp; no gradient into `fake`.
/// e: (B, 1, 1, 1) in [0, 1]; u: (B, D) unit rows. Differentiable in R's parameters.
at::Tensor gradient_penalty(const ModelConfig& config, const NetworkParameters& reverser,
                            const at::Tensor& real, const at::Tensor& fake, const at::Tensor& e,
                            const at::Tensor& u);

/// The penalty of PenaltyForm::r1. u: (B, D) unit rows. Differentiable in R's parameters.
at::Tensor r1_penalty(const ModelConfig& config, const NetworkParameters& reverser, const at::Tensor& real,
                      const at::Tensor& u);

}  // namespace san
