#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <unordered_map>

#include "profiling/scope.h"
#include "san/network.h"
#include "san/training_step.h"

namespace san {
namespace {

using at::Tensor;

/// A network's parameters as gradient leaves. They alias the store's memory, so that a shared kernel, stored
/// once, collects the two networks' gradients apart.
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

using Gradients = std::vector<Tensor>;

Gradients gradients_of(const Tensor& loss, const Gradients& leaves, bool retain_graph) {
  return torch::autograd::grad({loss}, leaves, {}, retain_graph, /*create_graph=*/false,
                               /*allow_unused=*/true);
}

/// a + scale * b, either of which may be undefined: a leaf that a loss does not reach gets no gradient.
Tensor combined(const Tensor& a, double scale, const Tensor& b) {
  if (!b.defined()) return a;
  if (!a.defined()) return scale == 1 ? b : b * scale;
  return at::add(a, b, scale);
}

void fill_missing(Gradients& gradients, const Gradients& leaves) {
  for (size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(leaves[i]);
}

Tensor mean_square(const Tensor& a, const Tensor& b) { return (a - b).square().mean(); }

}  // namespace

StepResult compute_step(const ModelConfig& model, const LossConfig& loss, const ParameterStore& store,
                        const StepInputs& in) {
  const profiling::Scope scope("heads and losses");
  const at::AutoGradMode grad_mode(true);
  // R has two sets of leaves, so that one backward pass keeps its gradients through R(G(Z)) apart, which
  // enter its loss with another weight than G's.
  const Leaves g = make_leaves(store, Net::generator);
  const Leaves r_fake = make_leaves(store, Net::reverser), r_real = make_leaves(store, Net::reverser);
  const bool cycle = loss.pairing == Pairing::cycle;

  const Tensor rx = reverse(model, r_real.parameters, in.x);
  // In the cycle G runs once, on Z and R(X) together.
  const Tensor generated = generate(model, g.parameters, cycle ? at::cat({in.z, rx}) : in.z);
  const int64_t batch = in.z.size(0);
  // A split, whose gradient is one concatenation, not two narrows, whose gradients are padded and added.
  const std::vector<Tensor> parts = generated.split(batch);
  const Tensor fake = parts[0];
  const Tensor back = reverse(model, r_fake.parameters, fake);

  const Tensor lgd = wasserstein_distance(loss, back, in.z, in.directions);  // the same number as LRZ
  const Tensor llz = mean_square(back, in.z);
  const Tensor lrx = wasserstein_distance(loss, rx, in.z, in.directions);
  Tensor lgi;
  switch (loss.pairing) {
    case Pairing::cycle:
      lgi = mean_square(parts[1], in.x);
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

  // The pass that gives G its gradient through R(G(Z)) gives R's as well, up to a factor, unless LLZ spoils
  // the ratio.
  const bool proportional = loss.w_lz == 0 ? loss.w_gd != 0 || w_rz == 0 : w_rz == loss.w_gd;
  const double factor = loss.w_lz == 0 ? (loss.w_gd != 0 ? w_rz / loss.w_gd : 0) : 1;
  Gradients from_fake(r_fake.tensors.size());
  if (!proportional) {
    WeightedSum own;
    own.add(w_rz, lgd);
    own.add(loss.w_lz, llz);
    from_fake = gradients_of(own.value(), r_fake.tensors, /*retain_graph=*/true);
  }

  Tensor penalty = at::zeros({}, in.x.options());
  WeightedSum total;
  total.add(loss.w_gd, lgd);
  total.add(loss.w_lz, llz);
  total.add(loss.w_gi, lgi);
  total.add(loss.w_rx, lrx);
  if (in.penalty != 0) {
    penalty = gradient_penalty(model, r_real.parameters, in.x, fake, in.e, in.u);
    total.add(in.penalty, penalty);
  }
  StepResult result;
  result.generator_gradients.resize(g.tensors.size());
  result.reverser_gradients.resize(r_real.tensors.size());
  if (total.value().defined()) {
    const bool serve_both = proportional && factor != 0;
    Gradients leaves = g.tensors;
    leaves.insert(leaves.end(), r_real.tensors.begin(), r_real.tensors.end());
    if (serve_both) leaves.insert(leaves.end(), r_fake.tensors.begin(), r_fake.tensors.end());
    const Gradients all = gradients_of(total.value(), leaves, /*retain_graph=*/false);
    auto next = all.begin();
    for (Tensor& gradient : result.generator_gradients) gradient = *next++;
    for (Tensor& gradient : result.reverser_gradients) gradient = *next++;
    if (serve_both) from_fake.assign(next, all.end());
  }
  for (size_t i = 0; i < from_fake.size(); ++i) {
    Tensor& gradient = result.reverser_gradients[i];
    gradient = combined(gradient, proportional ? factor : 1, from_fake[i]);
  }
  fill_missing(result.generator_gradients, g.tensors);
  fill_missing(result.reverser_gradients, r_real.tensors);

  const Tensor all = at::stack({lgd, lgi, lgd, lrx, llz, penalty}).detach().to(at::kDouble);
  for (size_t i = 0; i < result.losses.size(); ++i) result.losses[i] = all.const_data_ptr<double>()[i];
  return result;
}

}  // namespace san
