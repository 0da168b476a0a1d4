// Both forms of the gradient penalty, against slopes and derivatives by central differences.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <string>
#include <vector>

#include "check.h"
#include "random/random.h"
#include "san/losses.h"
#include "san/network.h"
#include "san/training_step.h"
#include "small_model.h"

namespace san::test {
namespace {

using at::Tensor;

constexpr double kStep = 1e-6;

Tensor draw(uint64_t index, at::IntArrayRef shape) {
  return random::normal({9, random::Stream::direction, index}, shape).to(at::kDouble);
}

NetworkParameters reverser_of(const ParameterStore& parameters) {
  return arrange(Net::reverser, [&](const std::string& name) { return parameters.tensor(name); });
}

/// ||d<R(h), u>/dh|| of each row, a pixel at a time.
Tensor norms(const ModelConfig& model, const ParameterStore& parameters, const Tensor& h, const Tensor& u) {
  const at::NoGradGuard no_grad;
  const NetworkParameters r = reverser_of(parameters);
  const auto projected = [&](const Tensor& images) {
    return (reverse(model, r, images).flatten(1) * u).sum({1});
  };
  const int64_t pixels = h[0].numel();
  Tensor sum = at::zeros({h.size(0)}, at::kDouble);
  for (int64_t i = 0; i < pixels; ++i) {
    Tensor up = h.clone(at::MemoryFormat::Contiguous), down = up.clone();
    up.view({h.size(0), pixels}).select(1, i) += kStep;
    down.view({h.size(0), pixels}).select(1, i) -= kStep;
    sum += ((projected(up) - projected(down)) / (2 * kStep)).square();
  }
  return sum.sqrt();
}

void test_penalties() {
  ModelConfig model = small_model();
  // ADO's straight-through gradient is none that differences see: all passes, and attention is the same
  // everywhere.
  model.ado_threshold = 0;
  const ParameterStore parameters = ParameterStore::initial(model, 3, at::kDouble);
  const auto of_ado = [&](size_t i) { return parameters.spec(i).name.find(".ado.") != std::string::npos; };
  for (const size_t i : parameters.indices(Net::reverser))
    if (of_ado(i)) parameters.tensor(i).zero_();
  const int64_t s = model.image_size(), d = model.latent_numel();
  StepInputs in;
  in.z = draw(0, {4, model.latent_channels, model.latent_size, model.latent_size});
  in.x = draw(1, {4, model.image_channels, s, s}).tanh();
  const Tensor rows = draw(2, {7, d}), u = draw(3, {4, d});
  in.directions = {(rows / rows.norm(2, {1}, true)).t().contiguous(), d};
  in.u = u / u.norm(2, {1}, true);
  in.penalty = 0.5;
  LossConfig loss;
  loss.w_gd = loss.w_gi = loss.w_rx = loss.w_lz = loss.repulsion_weight = loss.w_rz = 0;

  for (const PenaltyForm form : {PenaltyForm::wgan_gp, PenaltyForm::r1}) {
    const std::string name = form == PenaltyForm::r1 ? "R1" : "the penalty between images";
    loss.penalty_form = form;
    Tensor h = in.x;
    if (form == PenaltyForm::wgan_gp) {
      in.e = draw(4, {4, 1, 1, 1}).sigmoid();
      const NetworkParameters g =
          arrange(Net::generator, [&](const std::string& key) { return parameters.tensor(key); });
      const at::NoGradGuard no_grad;
      h = in.e * in.x + (1 - in.e) * generate(model, g, in.z);
    } else {
      in.e = Tensor();
    }
    const StepResult result = compute_step(model, loss, parameters, in);
    const Tensor n = norms(model, parameters, h, in.u);
    const double expected = (form == PenaltyForm::r1 ? n.square() : (n - 1).square()).mean().item<double>();
    expect(std::abs(result.losses[5] - expected) < 1e-5 * expected, name + ": its value");
    const StepResult passes = compute_step(model, loss, parameters, in, alone(), /*passes=*/2);
    expect(std::abs(passes.losses[5] - expected) < 1e-5 * expected, name + ": its value in passes");

    // Along a random direction through all of R's parameters; G has no part in it.
    for (const Tensor& gradient : result.generator_gradients)
      expect(gradient.abs().max().item<double>() == 0, name + ": no gradient into G");
    double slope = 0;
    std::vector<Tensor> direction;
    for (size_t k = 0; k < result.reverser_gradients.size(); ++k) {
      const bool still = of_ado(parameters.indices(Net::reverser)[k]);
      direction.push_back(draw(100 + k, result.reverser_gradients[k].sizes()) * (still ? 0 : 1));
      slope += (result.reverser_gradients[k] * direction.back()).sum().item<double>();
    }
    const auto at_distance = [&](double t) {
      const at::NoGradGuard no_grad;
      for (size_t k = 0; k < direction.size(); ++k)
        parameters.tensor(parameters.indices(Net::reverser)[k]).add_(direction[k], t);
      const double value = [&] {
        const at::AutoGradMode grad_mode(true);
        const NetworkParameters r = reverser_of(parameters);
        return (form == PenaltyForm::r1 ? r1_penalty(model, r, in.x, in.u)
                                        : gradient_penalty(model, r, h, h, in.e, in.u))
            .item<double>();
      }();
      for (size_t k = 0; k < direction.size(); ++k)
        parameters.tensor(parameters.indices(Net::reverser)[k]).add_(direction[k], -t);
      return value;
    };
    const double numeric = in.penalty * (at_distance(kStep) - at_distance(-kStep)) / (2 * kStep);
    expect(std::abs(slope - numeric) < 1e-4 * std::abs(numeric),
           name + ": its gradient, " + std::to_string(slope) + " and " + std::to_string(numeric));
  }
}

}  // namespace

void penalty_tests() { test_penalties(); }

}  // namespace san::test
