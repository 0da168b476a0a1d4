#include "training/shift.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <vector>

#include "check.h"
#include "random/random.h"
#include "san/network.h"
#include "san/training_step.h"
#include "small_model.h"

namespace san::test {
namespace {

using at::Tensor;

Tensor draw(uint64_t index, at::IntArrayRef shape) {
  return random::normal({7, random::Stream::direction, index}, shape).to(at::kDouble);
}

/// Each sample rolled by its own offsets, in its memory order.
Tensor rolled(const Tensor& x, const Tensor& offsets) {
  std::vector<Tensor> out;
  for (int64_t i = 0; i < x.size(0); ++i)
    out.push_back(at::roll(x[i], {offsets[i][0].item<int64_t>(), offsets[i][1].item<int64_t>()}, {1, 2}));
  return at::stack(out);
}

const Tensor kOffsets = at::tensor({0, 0, 1, -2, -5, 4, 2, 0}, at::kLong).view({4, 2});

void test_shifted() {
  for (const int64_t channels : {1, 3}) {
    Tensor x = draw(0, {4, channels, 5, 5}).contiguous(at::MemoryFormat::ChannelsLast);
    expect(shifted(x, kOffsets).equal(rolled(x, kOffsets)), "a shift");
    expect(shifted(x.contiguous(), kOffsets).equal(rolled(x, kOffsets)), "a shift of planes");
    x.requires_grad_(true);
    const Tensor w = draw(1, {4, channels, 5, 5}).requires_grad_(true);
    const Tensor dx =
        torch::autograd::grad({(shifted(x, kOffsets) * w).sum()}, {x}, {}, true, /*create_graph=*/true)[0];
    expect(dx.equal(rolled(w.detach(), -kOffsets)), "a shift's gradient is the shift back");
    const Tensor v = draw(2, {4, channels, 5, 5});
    const Tensor dw = torch::autograd::grad({(dx * v).sum()}, {w})[0];
    expect(dw.equal(rolled(v, kOffsets)), "the gradient of that is the shift");
  }
}

void test_shifts_of() {
  LossConfig loss;
  loss.reverser_shift = 0.125;
  loss.reverser_shift_probability = 0.25;
  const float below_one = 1 - 0x1p-24f;
  const Tensor ends = at::tensor({0.0f, 0.0f, below_one, 0.25f, below_one, below_one}).view({1, 2, 3});
  const Tensor found = shifts_of(loss, 32, ends);
  expect(
      found.scalar_type() == at::kLong && found.equal(at::tensor({-4, 4, 0, 0}, at::kLong).view({1, 2, 2})),
      "both ends of a shift, and none behind the probability");
  const Tensor many = shifts_of(
      loss, 32, random::uniform({1, random::Stream::reverser_shift, 0}, 60'000).view({10'000, 2, 3}));
  const Tensor moved = at::logical_or(many.select(2, 0) != 0, many.select(2, 1) != 0).to(at::kDouble);
  // Of those that are shifted one in 81 stays where it is.
  expect(std::abs(moved.mean().item<double>() - 0.25 * 80 / 81) < 0.01, "the share that is shifted");
  const Tensor rows = many.select(2, 0).masked_select(moved.to(at::kBool));
  expect(rows.min().item<int64_t>() == -4 && rows.max().item<int64_t>() == 4 &&
             std::abs(rows.to(at::kDouble).mean().item<double>()) < 0.15,
         "shifts are as far to either side");
}

void test_step() {
  const ModelConfig model = small_model();
  const int64_t s = model.image_size(), d = model.latent_numel();
  const ParameterStore parameters = ParameterStore::initial(model, 3, at::kDouble);
  StepInputs in;
  in.z = draw(3, {4, 3, 2, 2});
  in.x = draw(4, {4, model.image_channels, s, s}).tanh();
  const Tensor directions = draw(5, {7, d});
  in.directions = {(directions / directions.norm(2, {1}, true)).t().contiguous(), d};
  LossConfig loss;
  loss.w_lz = 0.1;
  loss.repulsion_weight = 1;
  const StepResult plain = compute_step(model, loss, parameters, in);
  in.shifts = at::zeros({4, 2, 2}, at::kLong);
  const StepResult still = compute_step(model, loss, parameters, in);
  expect(still.losses == plain.losses, "losses of shifts by nothing");
  for (size_t i = 0; i < plain.generator_gradients.size(); ++i)
    expect(at::allclose(still.generator_gradients[i], plain.generator_gradients[i], 1e-10, 1e-14),
           "gradients of shifts by nothing");

  in.shifts = at::stack({kOffsets, -kOffsets}, 1);
  const StepResult moved = compute_step(model, loss, parameters, in);
  const at::NoGradGuard no_grad;
  const auto network = [&](Net net) {
    return arrange(net, [&](const std::string& name) { return parameters.tensor(name); });
  };
  const NetworkParameters g = network(Net::generator), r = network(Net::reverser);
  const Tensor rx = reverse(model, r, rolled(in.x, kOffsets));
  const Tensor back = reverse(model, r, rolled(generate(model, g, in.z), -kOffsets));
  const auto close = [](double a, const Tensor& b) { return std::abs(a - b.item<double>()) < 1e-9; };
  expect(close(moved.losses[0], wasserstein_distance(loss, back, in.z, in.directions)),
         "LGD of shifted images");
  expect(close(moved.losses[3], wasserstein_distance(loss, rx, in.z, in.directions)),
         "LRX of shifted images");
  expect(close(moved.losses[4], (back - in.z).square().mean()), "LLZ of shifted images");
  expect(close(moved.losses[1], (generate(model, g, rx) - in.x).square().mean()),
         "LGI of images as they are");

  const StepResult passes = compute_step(model, loss, parameters, in, alone(), /*passes=*/2);
  for (size_t i = 0; i < moved.losses.size(); ++i)
    expect(std::abs(passes.losses[i] - moved.losses[i]) < 1e-9, "losses of shifted images in passes");
  for (size_t i = 0; i < moved.reverser_gradients.size(); ++i)
    expect(at::allclose(passes.reverser_gradients[i], moved.reverser_gradients[i], 1e-8, 1e-12),
           "gradients of shifted images in passes");
}

}  // namespace

void shift_tests() {
  test_shifted();
  test_shifts_of();
  test_step();
}

}  // namespace san::test
