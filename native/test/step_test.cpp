// A step that reads nothing on the host, and one in bfloat16.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "check.h"
#include "inference/fixed_batches.h"
#include "random/random.h"
#include "san/losses.h"
#include "san/network.h"
#include "san/optimizer.h"
#include "san/training_step.h"
#include "small_model.h"

namespace san::test {
namespace {

StepInputs inputs(const ModelConfig& model) {
  constexpr int64_t kBatch = 6;
  const int64_t s = model.image_size(), d = model.latent_numel();
  const auto draw = [](uint64_t index, at::IntArrayRef shape) {
    return random::normal({5, random::Stream::direction, index}, shape);
  };
  StepInputs in;
  in.z = draw(0, {kBatch, model.latent_channels, model.latent_size, model.latent_size});
  in.x = draw(1, {kBatch, model.image_channels, s, s}).tanh();
  const at::Tensor rows = draw(2, {7, d});
  in.directions = {(rows / rows.norm(2, {1}, true)).t().contiguous(), /*axes=*/d};
  in.e = draw(3, {kBatch, 1, 1, 1}).sigmoid();
  const at::Tensor u = draw(4, {kBatch, d});
  in.u = u / u.norm(2, {1}, true);
  return in;
}

/// Largest difference of two gradients as a share of the largest value of `b`, over both networks.
double difference(const StepResult& a, const StepResult& b) {
  double most = 0;
  const auto compare = [&](const std::vector<at::Tensor>& p, const std::vector<at::Tensor>& q) {
    double error = 0, size = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      error += (p[i] - q[i]).to(at::kDouble).square().sum().item<double>();
      size += q[i].to(at::kDouble).square().sum().item<double>();
    }
    most = std::max(most, std::sqrt(error / size));
  };
  compare(a.generator_gradients, b.generator_gradients);
  compare(a.reverser_gradients, b.reverser_gradients);
  return most;
}

struct Case {
  const char* name;
  LossConfig loss;
  double penalty = 0;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  LossConfig loss;
  all.push_back({"repulsion within the margin", loss});
  all.back().loss.repulsion_margin = 1e6;
  all.push_back({"repulsion beyond the margin", loss});
  all.back().loss.repulsion_margin = 1e-6;
  all.push_back({"no repulsion, with penalty", loss, 2});
  all.back().loss.repulsion_weight = 0;
  all.push_back({"judged reconstructions", loss});
  all.back().loss.reconstruction_share = 0.25;
  all.push_back({"judged reconstructions, LLZ", all.back().loss});
  all.back().loss.w_lz = 0.1;
  all.push_back({"R1", loss, 2});
  all.back().loss.penalty_form = PenaltyForm::r1;
  for (const double margin : {1e6, 1e-6}) {
    all.push_back({"LLZ", loss});
    all.back().loss.repulsion_margin = margin;
    all.back().loss.w_lz = 0.1;
    all.push_back({"repulsion alone", loss, 1});
    all.back().loss.repulsion_margin = margin;
    all.back().loss.w_gd = 0;
  }
  all.push_back({"exponential repulsion, scales of LGI", loss});
  all.back().loss.repulsion_form = RepulsionForm::exponential;
  all.back().loss.lgi_scales = {0.1, 0, 1};
  all.push_back({"exponential repulsion alone", all.back().loss, 1});
  all.back().loss.w_gd = 0;
  return all;
}

/// The derivative of R's repulsion, by which deferred and read steps multiply the same gradient.
void test_exponential() {
  const ModelConfig model = small_model();
  const ParameterStore parameters = ParameterStore::initial(model, 3, at::kDouble);
  StepInputs in = inputs(model);
  for (at::Tensor* tensor : {&in.z, &in.x, &in.directions.random}) *tensor = tensor->to(at::kDouble);
  LossConfig loss;
  loss.w_gi = loss.w_rx = loss.w_gd = 0;
  loss.repulsion_weight = 2;
  loss.repulsion_margin = 1e9;
  const StepResult straight = compute_step(model, loss, parameters, in);
  const double distance = straight.losses[0];
  loss.repulsion_form = RepulsionForm::exponential;
  loss.repulsion_margin = 0.5;
  StepResult faded = compute_step(model, loss, parameters, in);
  for (at::Tensor& gradient : faded.reverser_gradients) gradient = gradient / std::exp(-distance / 0.5);
  for (size_t i = 0; i < faded.reverser_gradients.size(); ++i)
    expect(at::allclose(faded.reverser_gradients[i], straight.reverser_gradients[i], 1e-9, 1e-12),
           "gradient of exponential repulsion");
}

/// LGD is what its share says, and reconstructions of the images are what it looks at.
void test_judged_reconstructions() {
  const ModelConfig model = small_model();
  const ParameterStore parameters = ParameterStore::initial(model, 3, at::kDouble);
  StepInputs in = inputs(model);
  for (at::Tensor* tensor : {&in.z, &in.x, &in.directions.random}) *tensor = tensor->to(at::kDouble);
  const auto network = [&](Net net) {
    return arrange(net, [&](const std::string& name) { return parameters.tensor(name); });
  };
  const NetworkParameters g = network(Net::generator), r = network(Net::reverser);
  LossConfig loss;
  const auto distance = [&](const at::Tensor& z) {
    const at::NoGradGuard no_grad;
    return wasserstein_distance(loss, reverse(model, r, generate(model, g, z)), in.z, in.directions)
        .item<double>();
  };
  const at::Tensor rx = [&] {
    const at::NoGradGuard no_grad;
    return reverse(model, r, in.x);
  }();
  const double of_samples = distance(in.z), of_reconstructions = distance(rx);
  expect(std::abs(of_samples - of_reconstructions) > 1e-6, "distances of both differ");
  const StepResult plain = compute_step(model, loss, parameters, in);
  for (const double share : {0.25, 1.0}) {
    loss.reconstruction_share = share;
    const StepResult result = compute_step(model, loss, parameters, in);
    const double expected = (1 - share) * of_samples + share * of_reconstructions;
    expect(std::abs(result.losses[0] - expected) < 1e-9, "LGD with a share of reconstructions");
    for (const size_t other : {1, 3, 4})
      expect(std::abs(result.losses[other] - plain.losses[other]) < 1e-9, "other losses stay what they are");
    expect(difference(result, plain) > 1e-3, "gradients with a share of reconstructions");
    // Whatever rows a pass takes, the distances are those of the whole batch.
    const StepResult passes = compute_step(model, loss, parameters, in, alone(), /*passes=*/2);
    expect(difference(passes, result) < 1e-8, "a share of reconstructions in passes");
  }
}

void test_image_error() {
  const auto draw = [](uint64_t index) {
    return random::normal({6, random::Stream::direction, index}, {2, 3, 5, 5}).to(at::kDouble);
  };
  const at::Tensor a = draw(0), b = draw(1), d = a - b;
  // 5 pixels become 3, the last of them an average of fewer.
  at::Tensor half = at::empty({2, 3, 3, 3}, at::kDouble);
  for (int64_t y = 0; y < 3; ++y)
    for (int64_t x = 0; x < 3; ++x)
      half.select(3, x).select(2, y).copy_(
          d.slice(2, 2 * y, 2 * y + 2).slice(3, 2 * x, 2 * x + 2).mean({2, 3}));
  const auto close = [](const at::Tensor& p, const at::Tensor& q) {
    return at::allclose(p, q, 1e-12, 1e-14);
  };
  expect(close(image_error(a, b, {1}), d.square().mean()), "LGI at full resolution");
  expect(close(image_error(a, b, {0.25, 3}), 0.25 * d.square().mean() + 3 * half.square().mean()),
         "LGI at two scales");
  expect(close(image_error(a, b, {0, 0, 0, 0, 2}),
               2 * at::avg_pool2d(at::avg_pool2d(half, {2, 2}, {2, 2}, {0, 0}, true, false), {2, 2}, {2, 2},
                                  {0, 0}, true, false)
                       .square()
                       .mean()),
         "LGI of a single pixel");
  expect(image_error(a, b, {0, 0}).item<double>() == 0, "LGI without weights");
}

void test_deferred() {
  const ModelConfig model = small_model();
  const ParameterStore parameters = ParameterStore::initial(model, 3, at::kFloat);
  for (const Case& c : cases()) {
    StepInputs in = inputs(model);
    in.penalty = c.penalty;
    const StepResult read = compute_step(model, c.loss, parameters, in);
    in.deferred = true;
    const StepResult deferred = compute_step(model, c.loss, parameters, in);
    expect(read.losses == deferred.losses, std::string("losses of a deferred step: ") + c.name);
    // A factor of exp(...) is rounded to float32 at another place.
    const double limit = c.loss.repulsion_form == RepulsionForm::exponential ? 1e-6 : 0;
    expect(difference(deferred, read) <= limit, std::string("gradients of a deferred step: ") + c.name);
    // The weight as a tensor, in place of another one that the losses name.
    in.repulsion_weight = at::full({}, c.loss.repulsion_weight, at::kDouble);
    LossConfig other = c.loss;
    if (other.repulsion_weight > 0) other.repulsion_weight += 1;
    const StepResult kept = compute_step(model, other, parameters, in);
    expect(kept.losses == read.losses,
           std::string("losses of a step with its weight of repulsion in a tensor: ") + c.name);
    expect(difference(kept, read) <= 1e-6,
           std::string("gradients of a step with its weight of repulsion in a tensor: ") + c.name);
  }
}

void test_bf16() {
  ModelConfig model = small_model();
  // Eighteen blocks with few channels amplify a rounding of 2^-9 to some percent of the gradient.
  // ADO lets everything pass: at a threshold roundings turn values on and off, which no tolerance covers.
  model.ado_threshold = 0;
  const ParameterStore parameters = ParameterStore::initial(model, 3, at::kFloat);
  for (const Case& c : cases()) {
    StepInputs in = inputs(model);
    in.penalty = c.penalty;
    const StepResult exact = compute_step(model, c.loss, parameters, in);
    in.precision = Precision::bf16;
    const StepResult rough = compute_step(model, c.loss, parameters, in);
    const double apart = difference(rough, exact);
    std::printf("bf16 gradients, %s: %.4f of float32's\n", c.name, apart);
    expect(apart > 1e-5, std::string("a bf16 step is computed in bf16: ") + c.name);
    expect(apart < 0.2, std::string("gradients of a bf16 step: ") + c.name);
    for (const auto* gradients : {&rough.generator_gradients, &rough.reverser_gradients})
      for (const at::Tensor& gradient : *gradients)
        expect(gradient.scalar_type() == at::kFloat, "gradients of a bf16 step are float32");
  }
}

/// Steps with the store's bfloat16 copies are, to the bit, those that cast the kernels themselves.
void test_copies() {
  const ModelConfig model = small_model();
  StepInputs in = inputs(model);
  in.precision = Precision::bf16;
  in.penalty = 1;
  const ParameterStore plain = ParameterStore::initial(model, 3, at::kFloat);
  ParameterStore with_copies = ParameterStore::initial(model, 3, at::kFloat);
  with_copies.keep_copies();
  Optimizer plain_optimizer({}, plain), optimizer({}, with_copies);
  const StepRates rates{1e-2, 0.5, 0.9, 0};
  for (int64_t step = 1; step <= 3; ++step) {
    const StepResult cast = compute_step(model, {}, plain, in),
                     kept = compute_step(model, {}, with_copies, in);
    expect(cast.losses == kept.losses, "losses of a step with copies");
    expect(difference(kept, cast) == 0, "gradients of a step with copies");
    plain_optimizer.step(plain, cast.generator_gradients, cast.reverser_gradients, step, rates);
    optimizer.step(with_copies, kept.generator_gradients, kept.reverser_gradients, step, rates);
  }
  for (size_t i = 0; i < with_copies.size(); ++i)
    if (with_copies.copy(i).defined())
      expect(with_copies.copy(i).equal(with_copies.tensor(i).to(at::kBFloat16)), "a copy follows its kernel");
}

/// Gradients are the same bits when modules run again, and the step holds less at once.
void test_recompute() {
  ModelConfig model = small_model();
  model.strides = {1, 1, 2, 2, 2, 2};
  model.latent_size = 1;
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const ParameterStore parameters = ParameterStore::initial(model, 3, at::kFloat);
    for (const Case& c : cases()) {
      StepInputs in = inputs(model);
      in.precision = precision;
      in.penalty = c.penalty;
      const StepResult kept = compute_step(model, c.loss, parameters, in);
      in.recompute = true;
      const StepResult again = compute_step(model, c.loss, parameters, in);
      expect(kept.losses == again.losses, std::string("losses of a recomputed step: ") + c.name);
      expect(difference(again, kept) == 0, std::string("gradients of a recomputed step: ") + c.name);
      const StepResult passes = compute_step(model, c.loss, parameters, in, alone(), /*passes=*/2);
      expect(difference(passes, kept) < 0.05, std::string("a recomputed step in passes: ") + c.name);
    }
  }
}

/// Drawing with bfloat16 kernels is what a bf16 step does: near float32, and not the same.
void test_bf16_networks() {
  ModelConfig model = small_model();
  model.ado_threshold = 0;
  const ParameterStore parameters = ParameterStore::initial(model, 3, at::kFloat);
  const StepInputs in = inputs(model);
  const at::NoGradGuard no_grad;
  const auto compare = [&](Net net, const auto& apply) {
    const NetworkParameters exact =
        arrange(net, [&](const std::string& name) { return parameters.tensor(name); });
    const at::Tensor a = apply(with_kernels_in(exact, at::kBFloat16)), b = apply(exact);
    const double apart = ((a - b).norm() / b.norm()).item<double>();
    expect(a.scalar_type() == at::kFloat && apart > 1e-5 && apart < 0.1,
           "bfloat16 kernels of the " + std::string(name_of(net)) + ": " + std::to_string(apart));
  };
  compare(Net::generator, [&](const NetworkParameters& p) { return generate(model, p, in.z); });
  compare(Net::reverser, [&](const NetworkParameters& p) { return reverse(model, p, in.x); });
}

/// Results of rows do not depend on how many there are, and come in order.
void test_fixed_batches() {
  FixedBatches doubled(4, c10::kCPU, [](const at::Tensor& x) {
    expect(x.size(0) == 4, "a batch has its size");
    return (2 * x).to(at::kByte);
  });
  for (const int64_t rows : {1, 4, 5, 11}) {
    const at::Tensor x = at::arange(rows * 3, at::kFloat).view({rows, 3});
    expect(doubled.run(x, {}).equal((2 * x).to(at::kByte)), "rows in batches: " + std::to_string(rows));
  }
}

}  // namespace

void step_tests() {
  test_image_error();
  test_judged_reconstructions();
  test_exponential();
  test_bf16_networks();
  test_fixed_batches();
  test_recompute();
  test_deferred();
  test_bf16();
  test_copies();
}

}  // namespace san::test
