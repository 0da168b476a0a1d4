#include "training/distances.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "san/losses.h"

namespace san {
namespace {

using at::Tensor;

Tensor gradient_of(const Tensor& scalar, const Tensor& leaf) {
  return torch::autograd::grad({scalar}, {leaf})[0];
}

/// A scalar whose gradient in `latents` is `gradient`'s rows from `first` on.
Tensor stand_in(const Tensor& latents, const Tensor& gradient, int64_t first) {
  return (latents * gradient.narrow(0, first, latents.size(0))).sum();
}

}  // namespace

StepInputs rows_of(const StepInputs& in, int64_t first, int64_t count) {
  StepInputs part = in;
  for (Tensor* tensor : {&part.z, &part.x, &part.e, &part.u})
    if (tensor->defined()) *tensor = tensor->narrow(0, first, count);
  return part;
}

Distances distances(const LossConfig& loss, const StepInputs& in, const Tensor& back, const Tensor& rx,
                    Collective& ranks) {
  Tensor all_back = back, all_rx = rx, all_z = in.z, all_x = in.x;
  const int64_t rows = in.z.size(0), first = ranks.rank() * rows;
  const bool assigned = loss.pairing == Pairing::assigned;
  if (ranks.size() > 1) {
    const Tensor flat_back = back.flatten(1), flat_rx = rx.flatten(1);
    std::vector<Tensor> parts = {flat_back.detach(), flat_rx.detach()};
    // The distance to the normal distribution itself takes nothing from Z.
    if (assigned || loss.estimator != Estimator::normal) parts.push_back(in.z.flatten(1));
    const std::vector<Tensor> all = ranks.all_gather(at::cat(parts, 1)).split(flat_back.size(1), 1);
    // Each rank works out the distances of all rows: the gradients of its own are at hand without another
    // exchange.
    const auto with_own = [&](const Tensor& gathered, const Tensor& own) {
      const int64_t after = first + rows;
      return at::cat(
          {gathered.narrow(0, 0, first), own, gathered.narrow(0, after, gathered.size(0) - after)});
    };
    all_back = with_own(all[0], flat_back);
    all_rx = with_own(all[1], flat_rx);
    if (all.size() > 2) all_z = all[2];
    if (assigned) all_x = ranks.all_gather(in.x);
  }
  Distances out{wasserstein_distance(loss, all_back, all_z, in.directions),
                wasserstein_distance(loss, all_rx, all_z, in.directions), in.x};
  if (assigned) {
    const Tensor order = optimal_assignment(all_z, all_rx.detach());
    out.partners = all_x.index_select(0, order.narrow(0, first, rows));
  }
  return out;
}

Distances DistancesAhead::of_rows(const Tensor& back, const Tensor& rx, int64_t first) const {
  return {stand_in(back, back_gradient, first), stand_in(rx, rx_gradient, first),
          values.partners.narrow(0, first, back.size(0))};
}

DistancesAhead distances_ahead(const ModelConfig& model, const LossConfig& loss,
                               const NetworkParameters& generator, const NetworkParameters& reverser,
                               const StepInputs& in, Collective& ranks, int64_t rows) {
  std::vector<Tensor> backs, rxs;
  {
    const at::NoGradGuard no_grad;
    for (int64_t first = 0; first < in.z.size(0); first += rows) {
      const StepInputs part = rows_of(in, first, rows);
      backs.push_back(reverse(model, reverser, generate(model, generator, part.z)));
      rxs.push_back(reverse(model, reverser, part.x));
    }
  }
  const Tensor back = at::cat(backs).requires_grad_(true), rx = at::cat(rxs).requires_grad_(true);
  DistancesAhead out{distances(loss, in, back, rx, ranks), {}, {}};
  out.back_gradient = gradient_of(out.values.lgd, back);
  out.rx_gradient = gradient_of(out.values.lrx, rx);
  return out;
}

}  // namespace san
