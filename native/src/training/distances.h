// The losses that look at the latents of the whole batch, whatever ranks and passes hold its rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "san/collective.h"
#include "san/config.h"
#include "san/network.h"
#include "san/training_step.h"

namespace san {

/// What the losses take from the latents of the whole batch.
struct Distances {
  /// Scalars of which the losses' gradients are taken; lgd is LRZ as well.
  at::Tensor lgd, lrx;
  /// The distances themselves, without a graph.
  at::Tensor lgd_value, lrx_value;
  /// The images that LGI compares G(Z) with, unless it is a cycle: (B, C, S, S).
  at::Tensor partners;
};

/// Latents that distances look at: R(G(Z)), R(X) and, where LGD has a share of them, R(G(R(X))), all (B, Zc,
/// Sz, Sz).
struct Latents {
  at::Tensor back, rx, again;

  Latents detached() const;
};

/// What R is to tell from real images: G(Z) and, where LGD has a share of them, then the reconstructions, of
/// G's images in a step: G(Z) and, in a cycle, G(R(X)).
at::Tensor judged_images(const LossConfig& loss, const StepInputs& in,
                         const std::vector<at::Tensor>& generated);

/// R(X) and R of judged_images() as the latents of each.
Latents latents_of(const at::Tensor& judged, const at::Tensor& rx);

/// Distances of the only rank's only pass, differentiable in the latents.
Distances distances(const LossConfig& loss, const StepInputs& in, const Latents& latents);

/// The distances of all ranks' latents, with the gradients of this rank's.
struct SharedDistances {
  /// Scalars.
  at::Tensor lgd, lrx;
  Latents gradients;
  at::Tensor partners;

  /// For rows [first, first + n) of this rank: stand-ins for the distances, which have their gradients.
  Distances of_rows(const Latents& rows, int64_t first) const;
};

/// `latents` of this rank, without a graph. All ranks call it, with as many `passes`. Each works out a part
/// of the projections for the latents of all; Sinkhorn's distances and the assignment are worked out by all.
/// Bit for bit the same for the same number of ranks times passes, if that of passes is a power of two.
SharedDistances shared_distances(const LossConfig& loss, const StepInputs& in, const Latents& latents,
                                 Collective& ranks, int64_t passes);

/// This rank's latents, `rows` rows at a time, without a graph: to the bit those of passes of as many rows.
Latents latents_ahead(const ModelConfig& model, const LossConfig& loss, const NetworkParameters& generator,
                      const NetworkParameters& reverser, const StepInputs& in, int64_t rows);

/// Rows [first, first + count) of a step's inputs.
StepInputs rows_of(const StepInputs& in, int64_t first, int64_t count);

}  // namespace san
