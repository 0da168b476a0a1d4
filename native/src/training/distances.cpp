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
  Latents latents;
  Tensor z;
};

WholeBatch gathered(const LossConfig& loss, const StepInputs& in, const Latents& latents, Collective& ranks) {
  std::vector<Tensor> parts = {latents.back.flatten(1), latents.rx.flatten(1)};
  const bool again = latents.again.defined();
  if (again) parts.push_back(latents.again.flatten(1));
  // The distance to the normal distribution itself takes nothing from Z.
  const bool z = loss.pairing == Pairing::assigned || loss.estimator != Estimator::normal;
  if (z) parts.push_back(in.z.flatten(1));
  const std::vector<Tensor> all = ranks.all_gather(at::cat(parts, 1)).split(parts[0].size(1), 1);
  const auto leaf = [](const Tensor& rows) { return rows.contiguous().detach().requires_grad_(true); };
  return {{leaf(all[0]), leaf(all[1]), again ? leaf(all[2]) : Tensor()}, z ? all.back() : all[0]};
}

/// LGD, the same number as LRZ.
Tensor generated_distance(const LossConfig& loss, const Latents& latents, const Tensor& z,
                          const Directions& directions) {
  const Tensor of_samples = wasserstein_distance(loss, latents.back, z, directions);
  if (!latents.again.defined()) return of_samples;
  const double share = loss.reconstruction_share;
  return (1 - share) * of_samples + share * wasserstein_distance(loss, latents.again, z, directions);
}

/// Both distances by some directions, times `share`, and their gradients: a row for each of `ranks`, that has
/// the gradients of its latents and, at its end, the two numbers.
Tensor packed_distances(const LossConfig& loss, const Directions& directions, double share,
                        const WholeBatch& batch, int64_t ranks) {
  const Latents& latents = batch.latents;
  const Tensor lgd = generated_distance(loss, latents, batch.z, directions) * share;
  const Tensor lrx = wasserstein_distance(loss, latents.rx, batch.z, directions) * share;
  std::vector<Tensor> leaves = {latents.back, latents.rx};
  if (latents.again.defined()) leaves.push_back(latents.again);
  std::vector<Tensor> row;
  for (const Tensor& gradient : torch::autograd::grad({lgd, lrx}, leaves))
    row.push_back(gradient.reshape({ranks, -1}));
  const at::NoGradGuard no_grad;
  row.push_back(at::stack({lgd, lrx}).unsqueeze(0).expand({ranks, 2}));
  return at::cat(row, 1);
}

/// packed_distances() of all directions: this rank's row.
Tensor distances_by_directions(const LossConfig& loss, const Directions& directions, const WholeBatch& batch,
                               Collective& ranks, int64_t passes) {
  const int64_t count = directions.count(), parts = ranks.size() * passes;
  const int64_t leaves = batch.latents.again.defined() ? 3 : 2;
  PairwiseSum sum;
  for (int64_t part = ranks.rank() * passes; part < (ranks.rank() + 1) * passes; ++part) {
    const int64_t first = count * part / parts, last = count * (part + 1) / parts;
    const double share = static_cast<double>(last - first) / static_cast<double>(count);
    sum.add(last > first ? packed_distances(loss, directions.part(first, last), share, batch, ranks.size())
                         : at::zeros({ranks.size(), leaves * batch.latents.back.numel() / ranks.size() + 2},
                                     batch.latents.back.options()));
  }
  return ranks.reduce_scatter(sum.total());
}

/// A scalar whose gradient in `latents` is `gradient`'s rows from `first` on.
Tensor stand_in(const Tensor& latents, const Tensor& gradient, int64_t first) {
  return (latents * gradient.narrow(0, first, latents.size(0))).sum();
}

}  // namespace

Latents Latents::detached() const {
  return {back.detach(), rx.detach(), again.defined() ? again.detach() : again};
}

Tensor judged_images(const LossConfig& loss, const StepInputs& in, const std::vector<Tensor>& generated) {
  const Tensor fake = shifted_fake(in, generated[0]);
  return loss.reconstruction_share > 0 ? at::cat({fake, shifted_fake(in, generated[1])}) : fake;
}

Latents latents_of(const Tensor& judged, const Tensor& rx) {
  if (judged.size(0) == rx.size(0)) return {judged, rx, {}};
  const std::vector<Tensor> parts = judged.split(rx.size(0));
  return {parts[0], rx, parts[1]};
}

StepInputs rows_of(const StepInputs& in, int64_t first, int64_t count) {
  StepInputs part = in;
  for (Tensor* tensor : {&part.z, &part.x, &part.e, &part.u, &part.shifts})
    if (tensor->defined()) *tensor = tensor->narrow(0, first, count);
  return part;
}

Distances distances(const LossConfig& loss, const StepInputs& in, const Latents& latents) {
  const Tensor lgd = generated_distance(loss, latents, in.z, in.directions);
  const Tensor lrx = wasserstein_distance(loss, latents.rx, in.z, in.directions);
  Tensor partners = in.x;
  if (loss.pairing == Pairing::assigned)
    partners = in.x.index_select(0, optimal_assignment(in.z, latents.rx.detach()));
  return {lgd, lrx, lgd.detach(), lrx.detach(), partners};
}

Distances SharedDistances::of_rows(const Latents& rows, int64_t first) const {
  Tensor of_generated = stand_in(rows.back, gradients.back, first);
  if (rows.again.defined()) of_generated = of_generated + stand_in(rows.again, gradients.again, first);
  return {of_generated, stand_in(rows.rx, gradients.rx, first), lgd, lrx,
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
  const auto gradient = [&](int64_t place) {
    return own.narrow(0, place * numbers, numbers).view(latents.back.sizes());
  };
  const bool again = latents.again.defined();
  const int64_t values = (again ? 3 : 2) * numbers;
  SharedDistances out{
      own[values], own[values + 1], {gradient(0), gradient(1), again ? gradient(2) : Tensor()}, in.x};
  if (loss.pairing == Pairing::assigned) {
    const Tensor order = optimal_assignment(batch.z, batch.latents.rx.detach());
    out.partners = ranks.all_gather(in.x).index_select(0, order.narrow(0, ranks.rank() * rows, rows));
  }
  return out;
}

Latents latents_ahead(const ModelConfig& model, const LossConfig& loss, const NetworkParameters& generator,
                      const NetworkParameters& reverser, const StepInputs& in, int64_t rows) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> backs, rxs, agains;
  for (int64_t first = 0; first < in.z.size(0); first += rows) {
    const StepInputs part = rows_of(in, first, rows);
    rxs.push_back(reverse(model, reverser, shifted_real(part)));
    // As in the pass itself: convolutions round otherwise for another number of rows.
    const Tensor z = loss.pairing == Pairing::cycle ? at::cat({part.z, rxs.back()}) : part.z;
    const Tensor judged = judged_images(loss, part, generate(model, generator, z).split(rows));
    const Latents latents = latents_of(reverse(model, reverser, judged), rxs.back());
    backs.push_back(latents.back);
    if (latents.again.defined()) agains.push_back(latents.again);
  }
  return {at::cat(backs), at::cat(rxs), agains.empty() ? Tensor() : at::cat(agains)};
}

}  // namespace san
