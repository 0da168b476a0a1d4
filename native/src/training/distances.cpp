#include "training/distances.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "distributed/pairwise_sum.h"
#include "san/losses.h"
#include "training/shift.h"

namespace san {
namespace {

using at::Tensor;

/// The whole batch, flattened to (B, D); leaves of a graph of their own.
struct WholeBatch {
  Tensor back, rx, z;
};

WholeBatch gathered(const LossConfig& loss, const StepInputs& in, const Latents& latents, Collective& ranks) {
  std::vector<Tensor> parts = {latents.back.flatten(1), latents.rx.flatten(1)};
  // The distance to the normal distribution itself takes nothing from Z.
  if (loss.pairing == Pairing::assigned || loss.estimator != Estimator::normal)
    parts.push_back(in.z.flatten(1));
  const std::vector<Tensor> all = ranks.all_gather(at::cat(parts, 1)).split(parts[0].size(1), 1);
  const auto leaf = [](const Tensor& rows) { return rows.contiguous().detach().requires_grad_(true); };
  return {leaf(all[0]), leaf(all[1]), all.size() > 2 ? all[2] : all[0]};
}

/// Both distances by some directions, times `share`, and their gradients: a row for each of `ranks`, that has
/// the gradients of its latents and, at its end, the two numbers.
Tensor packed_distances(const LossConfig& loss, const Directions& directions, double share,
                        const WholeBatch& batch, int64_t ranks) {
  const Tensor lgd = wasserstein_distance(loss, batch.back, batch.z, directions) * share;
  const Tensor lrx = wasserstein_distance(loss, batch.rx, batch.z, directions) * share;
  const auto gradients = torch::autograd::grad({lgd, lrx}, {batch.back, batch.rx});
  const at::NoGradGuard no_grad;
  const Tensor values = at::stack({lgd, lrx}).unsqueeze(0).expand({ranks, 2});
  return at::cat({gradients[0].reshape({ranks, -1}), gradients[1].reshape({ranks, -1}), values}, 1);
}

/// packed_distances() of all directions: this rank's row.
Tensor distances_by_directions(const LossConfig& loss, const Directions& directions, const WholeBatch& batch,
                               Collective& ranks, int64_t passes) {
  const int64_t count = directions.count(), parts = ranks.size() * passes;
  PairwiseSum sum;
  for (int64_t part = ranks.rank() * passes; part < (ranks.rank() + 1) * passes; ++part) {
    const int64_t first = count * part / parts, last = count * (part + 1) / parts;
    const double share = static_cast<double>(last - first) / static_cast<double>(count);
    sum.add(last > first
                ? packed_distances(loss, directions.part(first, last), share, batch, ranks.size())
                : at::zeros({ranks.size(), 2 * batch.back.numel() / ranks.size() + 2}, batch.back.options()));
  }
  return ranks.reduce_scatter(sum.total());
}

/// A scalar whose gradient in `latents` is `gradient`'s rows from `first` on.
Tensor stand_in(const Tensor& latents, const Tensor& gradient, int64_t first) {
  return (latents * gradient.narrow(0, first, latents.size(0))).sum();
}

}  // namespace

StepInputs rows_of(const StepInputs& in, int64_t first, int64_t count) {
  StepInputs part = in;
  for (Tensor* tensor : {&part.z, &part.x, &part.e, &part.u, &part.shifts})
    if (tensor->defined()) *tensor = tensor->narrow(0, first, count);
  return part;
}

Distances distances(const LossConfig& loss, const StepInputs& in, const Latents& latents) {
  const Tensor lgd = wasserstein_distance(loss, latents.back, in.z, in.directions);
  const Tensor lrx = wasserstein_distance(loss, latents.rx, in.z, in.directions);
  Tensor partners = in.x;
  if (loss.pairing == Pairing::assigned)
    partners = in.x.index_select(0, optimal_assignment(in.z, latents.rx.detach()));
  return {lgd, lrx, lgd.detach(), lrx.detach(), partners};
}

Distances SharedDistances::of_rows(const Latents& rows, int64_t first) const {
  return {stand_in(rows.back, gradients.back, first), stand_in(rows.rx, gradients.rx, first), lgd, lrx,
          partners.narrow(0, first, rows.back.size(0))};
}

SharedDistances shared_distances(const LossConfig& loss, const StepInputs& in, const Latents& latents,
                                 Collective& ranks, int64_t passes) {
  const int64_t rows = in.z.size(0), numbers = latents.back.numel();
  const WholeBatch batch = gathered(loss, in, latents, ranks);
  const Tensor own =
      loss.estimator == Estimator::sinkhorn
          ? packed_distances(loss, in.directions, 1, batch, ranks.size()).select(0, ranks.rank())
          : distances_by_directions(loss, in.directions, batch, ranks, passes);
  SharedDistances out{own[2 * numbers],
                      own[2 * numbers + 1],
                      {own.narrow(0, 0, numbers).view(latents.back.sizes()),
                       own.narrow(0, numbers, numbers).view(latents.rx.sizes())},
                      in.x};
  if (loss.pairing == Pairing::assigned) {
    const Tensor order = optimal_assignment(batch.z, batch.rx.detach());
    out.partners = ranks.all_gather(in.x).index_select(0, order.narrow(0, ranks.rank() * rows, rows));
  }
  return out;
}

Latents latents_ahead(const ModelConfig& model, const LossConfig& loss, const NetworkParameters& generator,
                      const NetworkParameters& reverser, const StepInputs& in, int64_t rows) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> backs, rxs;
  for (int64_t first = 0; first < in.z.size(0); first += rows) {
    const StepInputs part = rows_of(in, first, rows);
    rxs.push_back(reverse(model, reverser, shifted_real(part)));
    // As in the pass itself: convolutions round otherwise for another number of rows.
    const Tensor z = loss.pairing == Pairing::cycle ? at::cat({part.z, rxs.back()}) : part.z;
    const Tensor fake = generate(model, generator, z).narrow(0, 0, rows);
    backs.push_back(reverse(model, reverser, shifted_fake(part, fake)));
  }
  return {at::cat(backs), at::cat(rxs)};
}

}  // namespace san
