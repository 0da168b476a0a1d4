#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <unordered_map>

#include "san/network.h"
#include "san/training_step.h"

namespace san {
namespace {

using at::Tensor;

/// A network's parameters as gradient leaves. They alias the store's memory, so that a shared kernel, stored once,
/// collects the two networks' gradients apart.
struct Leaves {
  std::vector<Tensor> tensors;
  NetworkParameters parameters;
};

Leaves make_leaves(const ParameterStore& store, Net net) {
  Leaves leaves;
  std::unordered_map<std::string, Tensor> by_name;
  for (const size_t i : store.indices(net)) {
    leaves.tensors.push_back(store.tensor(i).detach().requires_grad_(true));
    by_name.emplace(store.spec(i).name, leaves.tensors.back());
  }
  leaves.parameters = arrange(net, [&](const std::string& name) { return by_name.at(name); });
  return leaves;
}

/// A weighted sum that stays undefined while every weight is 0, so that no backward pass is made for nothing.
class WeightedSum {
 public:
  void add(double weight, const Tensor& term) {
    if (weight == 0) return;
    const Tensor scaled = weight * term;
    sum_ = sum_.defined() ? sum_ + scaled : scaled;
  }
  const Tensor& value() const { return sum_; }

 private:
  Tensor sum_;
};

/// Adds scale * d(loss)/d(leaves) to `sums`. A leaf out of the loss's reach gets nothing.
void accumulate(const std::vector<Tensor>& gradients, size_t offset, double scale, std::vector<Tensor>& sums) {
  for (size_t i = 0; i < sums.size(); ++i) {
    const Tensor& gradient = gradients[offset + i];
    if (!gradient.defined()) continue;
    if (!sums[i].defined()) {
      sums[i] = scale == 1 ? gradient : gradient * scale;
    } else {
      sums[i] = at::add(sums[i], gradient, scale);
    }
  }
}

std::vector<Tensor> gradients_of(const Tensor& loss, const std::vector<Tensor>& leaves, bool retain_graph) {
  return torch::autograd::grad({loss}, leaves, {}, retain_graph, /*create_graph=*/false, /*allow_unused=*/true);
}

std::vector<Tensor> joined(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  std::vector<Tensor> all(a);
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

void fill_missing(std::vector<Tensor>& sums, const std::vector<Tensor>& leaves) {
  for (size_t i = 0; i < sums.size(); ++i)
    if (!sums[i].defined()) sums[i] = at::zeros_like(leaves[i]);
}

Tensor mean_square(const Tensor& a, const Tensor& b) { return (a - b).square().mean(); }

}  // namespace

StepResult compute_step(const ModelConfig& model, const LossConfig& loss, const ParameterStore& store,
                        const StepInputs& in) {
  const at::AutoGradMode grad_mode(true);
  const Leaves g = make_leaves(store, Net::generator), r = make_leaves(store, Net::reverser);

  const Tensor fake = generate(model, g.parameters, in.z);
  const Tensor back = reverse(model, r.parameters, fake);
  const Tensor rx = reverse(model, r.parameters, in.x);

  const Tensor lgd = wasserstein_distance(loss, back, in.z, in.directions);  // the same number as LRZ
  const Tensor llz = mean_square(back, in.z);
  const Tensor lrx = wasserstein_distance(loss, rx, in.z, in.directions);
  const bool cycle = loss.pairing == Pairing::cycle;
  Tensor lgi;
  switch (loss.pairing) {
    case Pairing::cycle:
      lgi = mean_square(generate(model, g.parameters, rx), in.x);
      break;
    case Pairing::assigned:
      lgi = mean_square(fake, in.x.index_select(0, optimal_assignment(in.z, rx.detach())));
      break;
    case Pairing::random:
      lgi = mean_square(fake, in.x);
      break;
  }

  // What R's loss takes from R(G(Z)), as a weight on the distance: under repulsion the hinge's derivative.
  double w_rz = loss.w_rz;
  if (loss.repulsion_weight > 0)
    w_rz = lgd.item<double>() < loss.repulsion_margin ? -loss.repulsion_weight : 0;

  std::vector<Tensor> g_sums(g.tensors.size()), r_sums(r.tensors.size());

  // Through R(G(Z)): G's gradient, and with it R's, which is the same up to a factor unless LLZ spoils the ratio.
  const bool proportional = loss.w_lz == 0 ? loss.w_gd != 0 || w_rz == 0 : w_rz == loss.w_gd;
  const double factor = loss.w_lz == 0 ? (loss.w_gd != 0 ? w_rz / loss.w_gd : 0) : 1;
  const bool serve_both = proportional && factor != 0;
  WeightedSum through_fake;
  through_fake.add(loss.w_gd, lgd);
  through_fake.add(loss.w_lz, llz);
  if (!cycle) through_fake.add(loss.w_gi, lgi);
  if (through_fake.value().defined()) {
    const auto gradients = gradients_of(through_fake.value(), serve_both ? joined(g.tensors, r.tensors) : g.tensors,
                                        /*retain_graph=*/!proportional);
    accumulate(gradients, 0, 1, g_sums);
    if (serve_both) accumulate(gradients, g.tensors.size(), factor, r_sums);
  }
  if (!proportional) {
    WeightedSum own;
    own.add(w_rz, lgd);
    own.add(loss.w_lz, llz);
    accumulate(gradients_of(own.value(), r.tensors, /*retain_graph=*/false), 0, 1, r_sums);
  }

  // Through R(X), and through G(R(X)) for both networks in the cycle.
  Tensor penalty = at::zeros({}, in.x.options());
  WeightedSum through_real;
  through_real.add(loss.w_rx, lrx);
  if (cycle) through_real.add(loss.w_gi, lgi);
  if (in.penalty != 0) {
    penalty = gradient_penalty(model, r.parameters, in.x, fake, in.e, in.u);
    through_real.add(in.penalty, penalty);
  }
  if (through_real.value().defined()) {
    const auto gradients = gradients_of(through_real.value(), cycle ? joined(r.tensors, g.tensors) : r.tensors,
                                        /*retain_graph=*/false);
    accumulate(gradients, 0, 1, r_sums);
    if (cycle) accumulate(gradients, r.tensors.size(), 1, g_sums);
  }
  fill_missing(g_sums, g.tensors);
  fill_missing(r_sums, r.tensors);

  const Tensor all = at::stack({lgd, lgi, lgd, lrx, llz, penalty}).detach().to(at::kDouble);
  StepResult result{{}, std::move(g_sums), std::move(r_sums)};
  for (size_t i = 0; i < result.losses.size(); ++i) result.losses[i] = all.const_data_ptr<double>()[i];
  return result;
}

}  // namespace san
