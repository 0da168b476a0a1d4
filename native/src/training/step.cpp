#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <unordered_map>

#include "profiling/scope.h"
#include "san/error.h"
#include "san/network.h"
#include "san/training_step.h"
#include "training/distances.h"
#include "training/gradient_buckets.h"
#include "training/shift.h"

namespace san {
namespace {

using at::Tensor;

/// A network's parameters as gradient leaves. They alias the store's memory, so that a shared kernel, stored
/// once, collects the two networks' gradients apart.
struct Leaves {
  std::vector<Tensor> tensors;
  /// What the networks compute with: the leaves, their kernels in the precision of the step.
  NetworkParameters parameters;
  /// The leaves themselves.
  NetworkParameters exact;
  /// The leaves, their kernels in the precision of the step: whose gradients are the leaves' as well, but not
  /// yet in float32, where nothing sees `exact`.
  std::vector<Tensor> rough;
};

/// The bfloat16 copy of a float32 kernel in its place; the gradient goes to the kernel, in float32.
class CopyInPlaceOf : public torch::autograd::Function<CopyInPlaceOf> {
 public:
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor&, const Tensor& copy) {
    return copy.detach();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    return {gradients[0].to(at::kFloat), {}};
  }
};

Leaves make_leaves(const ParameterStore& store, Net net, Precision precision) {
  Leaves leaves;
  std::unordered_map<std::string, Tensor> by_name;
  for (const size_t i : store.indices(net)) {
    leaves.tensors.push_back(store.tensor(i).detach().requires_grad_(true));
    by_name.emplace(store.spec(i).name, leaves.tensors.back());
  }
  leaves.exact = arrange(net, [&](const std::string& name) { return by_name.at(name); });
  if (precision != Precision::bf16) {
    leaves.parameters = leaves.exact;
    leaves.rough = leaves.tensors;
    return leaves;
  }
  // Biases and the attention's layers, which no convolution sees, stay as they are.
  for (size_t k = 0; k < leaves.tensors.size(); ++k) {
    const size_t i = store.indices(net)[k];
    const Tensor& leaf = leaves.tensors[k];
    Tensor& used = by_name[store.spec(i).name];
    if (leaf.dim() == 4)
      used = store.copy(i).defined() ? CopyInPlaceOf::apply(leaf, store.copy(i)) : leaf.to(at::kBFloat16);
    leaves.rough.push_back(used);
  }
  leaves.parameters = arrange(net, [&](const std::string& name) { return by_name.at(name); });
  return leaves;
}

/// A weighted sum that stays undefined while every weight is 0, so that no backward pass is made for nothing.
class WeightedSum {
 public:
  void add(double weight, const Tensor& term) {
    if (weight == 0) return;
    add(weight * term);
  }
  void add(const Tensor& scaled) { sum_ = sum_.defined() ? sum_ + scaled : scaled; }
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

/// Those that are there, times a scalar tensor.
Gradients times(Gradients gradients, const Tensor& factor) {
  Gradients defined;
  for (const Tensor& gradient : gradients)
    if (gradient.defined()) defined.push_back(gradient);
  if (defined.empty()) return gradients;
  const Gradients scaled = at::_foreach_mul(defined, factor.to(defined[0].scalar_type()));
  auto next = scaled.begin();
  for (Tensor& gradient : gradients)
    if (gradient.defined()) gradient = *next++;
  return gradients;
}

/// In float32 those that are in bfloat16: on a GPU in few launches, in place of one each.
void widen(Gradients& gradients) {
  std::vector<size_t> places;
  Gradients from, to;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined() || gradients[i].scalar_type() != at::kBFloat16) continue;
    places.push_back(i);
    from.push_back(gradients[i]);
    to.push_back(at::empty_like(gradients[i], at::kFloat));
  }
  if (places.empty()) return;
  at::_foreach_copy_(to, from);
  for (size_t k = 0; k < places.size(); ++k) gradients[places[k]] = to[k];
}

void fill_missing(Gradients& gradients, const Gradients& leaves) {
  for (size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(leaves[i]);
}

/// R has two sets of leaves, so that one backward pass keeps its gradients through R(G(Z)) apart, which enter
/// its loss with another weight than G's.
struct Networks {
  Leaves g, r_fake, r_real;
  /// Whether each leaf is watched while a backward pass goes on.
  bool watched = false;
};

/// How R's loss takes part in the backward pass through R(G(Z)).
struct FakeShare {
  /// R's weight on the distance: under repulsion the hinge's derivative, which is 0 beyond the margin.
  double w_rz = 0;
  /// The pass that gives G its gradient through R(G(Z)) gives R's as well, up to `factor`, unless LLZ spoils
  /// the ratio.
  bool proportional = true;
  double factor = 1;
  /// Where reading the distance would wait for a device: a scalar there that the weight is to be multiplied
  /// by.
  Tensor strength;
};

/// -1 / weight times the derivative of R's repulsion in the distance, a float64 scalar.
Tensor repulsion_strength(const LossConfig& loss, const Tensor& lgd) {
  const Tensor distance = lgd.detach().to(at::kDouble);
  if (loss.repulsion_form == RepulsionForm::exponential) return (distance / -loss.repulsion_margin).exp();
  return (distance < loss.repulsion_margin).to(at::kDouble);
}

FakeShare fake_share(const LossConfig& loss, const Tensor& lgd, const StepInputs& in) {
  FakeShare share{loss.w_rz, true, 1, {}};
  if (loss.repulsion_weight > 0) {
    const bool kept = in.deferred && in.repulsion_weight.defined();
    share.w_rz = kept ? -1 : -loss.repulsion_weight;
    const Tensor strength = repulsion_strength(loss, lgd);
    if (kept)
      share.strength = strength * in.repulsion_weight;
    else if (in.deferred)
      share.strength = strength;
    else
      share.w_rz *= strength.item<double>();
  }
  share.proportional = loss.w_lz == 0 ? loss.w_gd != 0 || share.w_rz == 0 : share.w_rz == loss.w_gd;
  if (share.proportional && loss.w_lz == 0) share.factor = loss.w_gd != 0 ? share.w_rz / loss.w_gd : 0;
  return share;
}

/// R's gradients with their parts through R(G(Z)).
Gradients joined(Gradients gradients, const FakeShare& share, Gradients from_fake) {
  // In a pass of its own the weight is in the gradient already.
  if (share.proportional && share.strength.defined()) from_fake = times(from_fake, share.strength);
  // Those that both have in lists: on a GPU some launches in place of two a parameter.
  std::vector<size_t> places;
  Gradients a, b;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].defined() && from_fake[i].defined()) {
      places.push_back(i);
      a.push_back(gradients[i]);
      b.push_back(from_fake[i]);
    } else {
      gradients[i] = combined(gradients[i], share.factor, from_fake[i]);
    }
  }
  if (places.empty()) return gradients;
  const Gradients sums = at::_foreach_add(a, b, share.factor);
  for (size_t k = 0; k < places.size(); ++k) gradients[places[k]] = sums[k];
  return gradients;
}

/// The losses of some rows, as scalars whose gradients sum up to those of the whole batch.
struct Terms {
  Tensor lgd, lgi, lrx, llz, penalty;
  /// The distances of the whole batch.
  Tensor lgd_value, lrx_value;
  FakeShare fake;
};

/// `share`: what the mean over these rows counts for in that over the whole batch.
Terms forward(const ModelConfig& model, const LossConfig& loss, const Networks& nets, const StepInputs& in,
              double share, const std::function<Distances(const Latents&)>& distances_of) {
  const bool cycle = loss.pairing == Pairing::cycle;
  // What R sees; LGI is of the images as they are.
  const Tensor real = shifted_real(in);
  const Tensor rx = reverse(model, nets.r_real.parameters, real, in.recompute);
  // In the cycle G runs once, on Z and R(X) together.
  const Tensor generated =
      generate(model, nets.g.parameters, cycle ? at::cat({in.z, rx}) : in.z, in.recompute);
  // A split, whose gradient is one concatenation, not two narrows, whose gradients are padded and added.
  const std::vector<Tensor> parts = generated.split(in.z.size(0));
  const Tensor judged = judged_images(loss, in, parts);
  const Latents latents = latents_of(reverse(model, nets.r_fake.parameters, judged, in.recompute), rx);

  const auto shared = [&](const Tensor& mean) { return share == 1 ? mean : mean * share; };
  const Distances distance = distances_of(latents);
  Terms terms;
  terms.lgd = distance.lgd;  // the same number as LRZ
  terms.lrx = distance.lrx;
  terms.llz = shared((latents.back - in.z).square().mean());
  terms.lgi = shared(cycle ? image_error(parts[1], in.x, loss.lgi_scales)
                           : image_error(parts[0], distance.partners, loss.lgi_scales));
  const NetworkParameters& exact = nets.r_real.exact;
  if (in.penalty == 0)
    terms.penalty = at::zeros({}, in.x.options());
  else if (loss.penalty_form == PenaltyForm::r1)
    terms.penalty = shared(r1_penalty(model, exact, real, in.u));
  else
    terms.penalty =
        shared(gradient_penalty(model, exact, real, judged.narrow(0, 0, real.size(0)), in.e, in.u));
  terms.lgd_value = distance.lgd_value;
  terms.lrx_value = distance.lrx_value;
  terms.fake = fake_share(loss, distance.lgd_value, in);
  return terms;
}

/// Gradients by leaf; undefined where a loss does not reach one.
struct LeafGradients {
  Gradients g, r_real, r_fake;
};

LeafGradients backward(const LossConfig& loss, const Networks& nets, const Terms& terms, double penalty) {
  LeafGradients out{Gradients(nets.g.tensors.size()), Gradients(nets.r_real.tensors.size()),
                    Gradients(nets.r_fake.tensors.size())};
  const FakeShare& fake = terms.fake;
  const Gradients &of_g = nets.watched ? nets.g.tensors : nets.g.rough,
                  &of_fake = nets.watched ? nets.r_fake.tensors : nets.r_fake.rough,
                  &of_real = nets.watched || penalty != 0 ? nets.r_real.tensors : nets.r_real.rough;
  if (!fake.proportional) {
    WeightedSum own;
    if (fake.strength.defined())
      own.add(fake.w_rz * fake.strength.to(terms.lgd.scalar_type()) * terms.lgd);
    else
      own.add(fake.w_rz, terms.lgd);
    own.add(loss.w_lz, terms.llz);
    out.r_fake = gradients_of(own.value(), of_fake, /*retain_graph=*/true);
  }
  WeightedSum total;
  total.add(loss.w_gd, terms.lgd);
  total.add(loss.w_lz, terms.llz);
  total.add(loss.w_gi, terms.lgi);
  total.add(loss.w_rx, terms.lrx);
  total.add(penalty, terms.penalty);
  if (!total.value().defined()) return out;
  const bool serve_both = fake.proportional && fake.factor != 0;
  Gradients leaves = of_g;
  leaves.insert(leaves.end(), of_real.begin(), of_real.end());
  if (serve_both) leaves.insert(leaves.end(), of_fake.begin(), of_fake.end());
  const Gradients all = gradients_of(total.value(), leaves, /*retain_graph=*/false);
  auto next = all.begin();
  for (Tensor& gradient : out.g) gradient = *next++;
  for (Tensor& gradient : out.r_real) gradient = *next++;
  if (serve_both) out.r_fake.assign(next, all.end());
  return out;
}

/// In the order of kLossNames; `share` of the distances, which are those of the whole batch.
Tensor stacked(const Terms& terms, double share) {
  const Tensor lgd = terms.lgd_value * share;
  return at::stack({lgd, terms.lgi, lgd, terms.lrx_value * share, terms.llz, terms.penalty}).detach();
}

void keep_losses(const Tensor& values, StepResult& result) {
  result.loss_values = values.to(at::kDouble).contiguous();
  if (result.loss_values.is_cpu()) result.losses = losses_of(result.loss_values);
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The whole batch in one pass on one rank.
StepResult step_alone(const ModelConfig& model, const LossConfig& loss, const Networks& nets,
                      const StepInputs& in) {
  const Terms terms =
      forward(model, loss, nets, in, 1, [&](const Latents& latents) { return distances(loss, in, latents); });
  LeafGradients gradients = backward(loss, nets, terms, in.penalty);
  for (Gradients* each : {&gradients.g, &gradients.r_real, &gradients.r_fake}) widen(*each);
  StepResult result;
  result.wishes = in.wishes;
  result.generator_gradients = std::move(gradients.g);
  result.reverser_gradients = joined(std::move(gradients.r_real), terms.fake, std::move(gradients.r_fake));
  fill_missing(result.generator_gradients, nets.g.tensors);
  fill_missing(result.reverser_gradients, nets.r_real.tensors);
  if (in.nan_gradient) result.generator_gradients[0].fill_(kNaN);
  keep_losses(stacked(terms, 1), result);
  return result;
}

/// Hands each leaf's gradient over as soon as a backward pass has it.
void watch(const Gradients& leaves, Net net, const double& scale, GradientBuckets& buckets) {
  for (size_t k = 0; k < leaves.size(); ++k)
    leaves[k].register_hook([&buckets, &scale, net, k](const Tensor& gradient) {
      const at::NoGradGuard no_grad;
      buckets.add(net, k, gradient, scale);
    });
}

/// On several ranks, in several passes, or both.
StepResult step_shared_out(const ModelConfig& model, const LossConfig& loss, const Networks& nets,
                           const ParameterStore& store, const StepInputs& in, Collective& ranks,
                           int64_t passes) {
  const int64_t rows = in.z.size(0) / passes;
  const double share = 1.0 / static_cast<double>(ranks.size() * passes);
  std::optional<SharedDistances> whole;
  if (passes > 1)
    whole = shared_distances(loss, in,
                             latents_ahead(model, loss, nets.g.parameters, nets.r_real.parameters, in, rows),
                             ranks, passes);

  constexpr int64_t kLosses = kLossNames.size();
  GradientBuckets buckets(store, ranks, kLosses + 2);
  double factor = 1;
  const double one = 1, generator = in.nan_gradient ? kNaN : 1;
  watch(nets.g.tensors, Net::generator, generator, buckets);
  watch(nets.r_real.tensors, Net::reverser, one, buckets);
  watch(nets.r_fake.tensors, Net::reverser, factor, buckets);
  for (int64_t pass = 0; pass < passes; ++pass) {
    const StepInputs part = rows_of(in, pass * rows, rows);
    const Terms terms = forward(model, loss, nets, part, share, [&](const Latents& latents) {
      if (!whole) whole = shared_distances(loss, part, latents.detached(), ranks, 1);
      return whole->of_rows(latents, pass * rows);
    });
    factor = terms.fake.factor;
    const bool last = pass + 1 == passes;
    buckets.begin_pass(1, factor != 0 ? 2 : 1, last);
    buckets.extras().narrow(0, 0, kLosses).copy_(stacked(terms, share));
    if (last) {
      buckets.extras()[kLosses].fill_(in.wishes.stop ? 1 : 0);
      buckets.extras()[kLosses + 1].fill_(in.wishes.checkpoint ? 1 : 0);
    }
    backward(loss, nets, terms, part.penalty);
    const at::NoGradGuard no_grad;
    buckets.end_pass();
  }

  StepResult result;
  result.generator_gradients = buckets.gradients(Net::generator);
  result.reverser_gradients = buckets.gradients(Net::reverser);
  const Tensor agreed = buckets.summed_extras().to(at::kCPU, at::kDouble);
  keep_losses(agreed.narrow(0, 0, kLosses), result);
  const double* wishes = agreed.const_data_ptr<double>() + kLosses;
  result.wishes = {wishes[0] > 0, wishes[1] > 0};
  return result;
}

}  // namespace

Losses losses_of(const Tensor& values) {
  const Tensor here = values.cpu();
  Losses losses;
  std::copy_n(here.const_data_ptr<double>(), losses.size(), losses.begin());
  return losses;
}

StepResult compute_step(const ModelConfig& model, const LossConfig& loss, const ParameterStore& store,
                        const StepInputs& inputs, Collective& ranks, int64_t passes) {
  const profiling::Scope scope("heads and losses");
  const at::AutoGradMode grad_mode(true);
  StepInputs in = inputs;
  const bool one_pass = ranks.size() == 1 && passes == 1;
  // Several ranks or passes must know ahead which gradients there will be.
  in.deferred = one_pass && (in.deferred || in.z.is_cuda());
  if (in.z.size(0) % passes != 0)
    throw Error(kShape,
                "a batch of " + std::to_string(in.z.size(0)) + " rows cannot be taken in " +
                    std::to_string(passes) + " equal passes",
                "accumulate");
  const Networks nets{make_leaves(store, Net::generator, in.precision),
                      make_leaves(store, Net::reverser, in.precision),
                      make_leaves(store, Net::reverser, in.precision), !one_pass};
  if (one_pass) return step_alone(model, loss, nets, in);
  return step_shared_out(model, loss, nets, store, in, ranks, passes);
}

}  // namespace san
