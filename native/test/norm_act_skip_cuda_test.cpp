#include "ops/norm_act_skip/norm_act_skip_cuda.h"

#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "check.h"
#include "ops/norm_act_skip/norm_act_skip.h"
#include "ops/tensors.h"

namespace san::test {
namespace {

using at::Tensor;

struct Case {
  int64_t batch, channels, height, width;
  /// (channels, height, width) of the skip; none where channels are 0.
  int64_t skip_channels, skip_height, skip_width;
  bool bias;
};

/// 1e-7 of the largest value is what float32 has at best.
double tolerance(at::ScalarType type, double in_float) {
  return type == at::kDouble ? 1e-14 : type == at::kFloat ? in_float : 0.02;
}

void compare(const Case& t, at::ScalarType type, const ops::NormActSlopes& slopes) {
  const std::string what = "norm_act_skip's kernels, " + std::string(at::toString(type)) + ", " +
                           std::to_string(t.channels) + " channels, " + std::to_string(t.height) + " x " +
                           std::to_string(t.width) + ", skip of " + std::to_string(t.skip_channels) +
                           ", slopes " + std::to_string(slopes.before) + " " + std::to_string(slopes.after);
  // Rounded to the type first, so that what is compared is the kernels' arithmetic.
  const auto random = [&](at::IntArrayRef sizes) { return at::randn(sizes).to(type).to(at::kDouble); };
  const Tensor x = random({t.batch, t.channels, t.height, t.width}), g = random(x.sizes());
  const Tensor bias = t.bias ? at::randn({t.channels}).to(at::kDouble) : Tensor();
  const Tensor skip =
      t.skip_channels > 0 ? random({t.batch, t.skip_channels, t.skip_height, t.skip_width}) : Tensor();
  std::vector<Tensor> inputs;
  for (const Tensor& input : {x, bias, skip})
    if (input.defined()) inputs.push_back(input.requires_grad_(true));
  const Tensor y = ops::norm_act_skip_reference(x, bias, skip, slopes);
  const auto gradients = torch::autograd::grad({y}, inputs, {g});
  const at::NoGradGuard no_grad;
  const auto kernel_input = [&](const Tensor& in) {
    return in.defined() ? on_device(ops::channels_last(in.detach().to(type))) : in;
  };
  with_kernels(
      [&]() -> std::vector<Tensor> {
        const Tensor px = kernel_input(x), ps = kernel_input(skip), pg = kernel_input(g);
        const Tensor pb = t.bias ? on_device(bias.detach().to(at::toOpMathType(type))) : Tensor();
        const ops::cuda::NormAct out = ops::cuda::norm_act_skip(px, pb, ps, slopes);
        const auto d = ops::cuda::norm_act_skip_gradient(pg, px, pb, out.r, slopes);
        return {out.y, d.dx, d.d_bias,
                skip.defined() ? ops::cuda::skip_gradient(pg, skip.sizes()) : Tensor()};
      },
      [&](const std::vector<Tensor>& out) {
        size_t next = 0;
        expect_close(out[0].to(at::kDouble), y.detach(), tolerance(type, 1e-6), what);
        for (size_t i = 1; i < out.size(); ++i) {
          if (!out[i].defined()) continue;
          if (t.channels == 1)  // the norm is near a sign: dx is the small difference of terms of about g / x
            expect((out[i].to(at::kDouble) - gradients[next]).abs().max().item<double>() <=
                       3e-6 * (g / x).abs().max().item<double>() +
                           0.02 * gradients[next].abs().max().item<double>(),
                   what + ", gradient " + std::to_string(i));
          else
            expect_close(out[i].to(at::kDouble), gradients[next], tolerance(type, 3e-6),
                         what + ", gradient " + std::to_string(i));
          ++next;
        }
        expect(next == gradients.size(), what + ", number of gradients");
      },
      what);
}

}  // namespace

void norm_act_skip_cuda_tests() {
  const std::vector<Case> shapes = {
      {1, 1, 1, 1, 0, 0, 0, false},    // one value
      {2, 3, 3, 5, 3, 3, 5, true},     // no vector
      {1, 132, 1, 3, 0, 0, 0, true},   // packs that do not fill the lanes
      {3, 16, 7, 5, 16, 7, 5, true},   // a pixel for part of a warp
      {1, 1040, 2, 2, 0, 0, 0, true},  // too wide to keep
      {1, 259, 3, 1, 0, 0, 0, true},   // the same without vectors
      {2, 8, 4, 6, 16, 2, 3, true},    // up, two channels to one
      {2, 16, 2, 3, 8, 4, 6, true},    // down, one channel to two
      {1, 8, 4, 4, 8, 2, 2, false},    // up
      {1, 8, 2, 2, 24, 6, 6, true},    // down by 3, three channels to one
      {1, 24, 3, 3, 8, 3, 3, true},    // one channel to three
      {1, 3, 2, 4, 6, 1, 2, false},    // the same without vectors
      {1, 6, 1, 2, 3, 2, 4, true},
  };
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const Case& shape : shapes) compare(shape, type, ops::kNormThenAct);
  // Sizes that nobody chose.
  const auto drawn = [](int64_t most) { return at::randint(1, most + 1, {1}).item<int64_t>(); };
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16})
    for (int i = 0; i < 8; ++i) {
      const int64_t channels = 1 + drawn(i % 2 == 0 ? 300 : 20), group = drawn(3), stride = drawn(3),
                    height = drawn(6), width = drawn(6);
      compare(
          {drawn(3), channels, height * stride, width * stride, channels * group, height, width, i % 3 > 0},
          type, ops::kNormThenAct);
    }
  compare({2, 12, 3, 3, 0, 0, 0, true}, at::kFloat, ops::kActThenNorm);
  compare({2, 12, 3, 3, 0, 0, 0, false}, at::kFloat, ops::kNormOnly);
}

}  // namespace san::test
