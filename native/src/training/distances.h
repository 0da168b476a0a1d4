// The losses that look at the latents of the whole batch, whatever ranks and passes hold its rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "san/collective.h"
#include "san/config.h"
#include "san/network.h"
#include "san/training_step.h"

namespace san {

/// What the losses take from the latents of the whole batch.
struct Distances {
  /// Scalars; lgd is LRZ as well.
  at::Tensor lgd, lrx;
  /// The images that LGI compares this rank's G(Z) with, unless it is a cycle: (B, C, S, S).
  at::Tensor partners;
};

/// `back` = R(G(Z)) and `rx` = R(X): (B, Zc, Sz, Sz) of this rank. Differentiable in both, through this
/// rank's rows.
Distances distances(const LossConfig& loss, const StepInputs& in, const at::Tensor& back,
                    const at::Tensor& rx, Collective& ranks);

/// Distances whose gradients are known before the pass that needs them.
struct DistancesAhead {
  Distances values;
  /// With respect to R(G(Z)) and R(X).
  at::Tensor back_gradient, rx_gradient;

  /// For rows [first, first + n): scalars whose gradients are those of the distances.
  Distances of_rows(const at::Tensor& back, const at::Tensor& rx, int64_t first) const;
};

/// Runs both networks forward, `rows` rows at a time, without a graph.
DistancesAhead distances_ahead(const ModelConfig& model, const LossConfig& loss,
                               const NetworkParameters& generator, const NetworkParameters& reverser,
                               const StepInputs& in, Collective& ranks, int64_t rows);

/// Rows [first, first + count) of a step's inputs.
StepInputs rows_of(const StepInputs& in, int64_t first, int64_t count);

}  // namespace san
