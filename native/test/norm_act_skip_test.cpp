#include "ops/norm_act_skip/norm_act_skip.h"

#include <torch/csrc/autograd/autograd.h>

#include "check.h"

namespace san::test {
namespace {

using at::Tensor;

/// Values away from 0, where LeakyReLU has its kink.
Tensor input(at::IntArrayRef shape) {
  const Tensor x = at::randn(shape, at::kDouble);
  return x + 0.01 * x.sign();
}

/// Shape of the skip that goes with x (B, C, 4, 6).
struct SkipCase {
  const char* name;
  int64_t channels, height, width;
};

}  // namespace

void norm_act_skip_tests() {
  for (const ops::NormActSlopes& slopes : {ops::kNormOnly, ops::kNormThenAct, ops::kActThenNorm}) {
    const std::string with =
        "norm_act_skip, slopes " + std::to_string(slopes.before) + " " + std::to_string(slopes.after);
    const auto both = [&](const std::vector<Tensor>& in, const std::string& what, double tolerance) {
      const Tensor bias = in.size() > 1 ? in[1] : Tensor(), skip = in.size() > 2 ? in[2] : Tensor();
      expect_close(ops::norm_act_skip(in[0], bias, skip, slopes),
                   ops::norm_act_skip_reference(in[0], bias, skip, slopes), tolerance, what);
    };
    const auto f = [&](const std::vector<Tensor>& in) {
      return ops::norm_act_skip(in[0], in.size() > 1 ? in[1] : Tensor(), in.size() > 2 ? in[2] : Tensor(),
                                slopes);
    };
    for (const int64_t channels : {1, 2, 3, 7, 16, 33}) {
      const std::string what = with + ", channels " + std::to_string(channels);
      const Tensor x = input({2, channels, 3, 5}), bias = at::randn({channels}, at::kDouble);
      both({x}, what + ", float64", 1e-14);
      both({x.to(at::kFloat)}, what + ", float32", 1e-6);
      both({x, bias}, what + ", bias, float64", 1e-14);
      both({x.to(at::kFloat), bias.to(at::kFloat)}, what + ", bias, float32", 1e-6);
    }
    expect_gradients(f, {input({2, 5, 2, 3})}, with);
    expect_gradients(f, {input({1, 33, 1, 1})}, with + ", one pixel");
    expect_gradients(
        [&](const std::vector<Tensor>& in) {
          return f({in[0].permute({1, 0, 3, 2})});
        },
        {input({4, 2, 2, 3})}, with + ", strided");

    for (const SkipCase& skip : {SkipCase{"same", 4, 4, 6},
                                 {"up", 4, 2, 3},
                                 {"down", 4, 8, 12},
                                 {"up, fewer", 8, 2, 3},
                                 {"up, more", 2, 2, 3},
                                 {"down, more", 1, 8, 12},
                                 {"down, fewer", 12, 8, 12},
                                 {"fewer", 8, 4, 6}}) {
      const std::string what = with + ", skip " + skip.name;
      // Positive values and bias keep x + bias off the kink.
      const std::vector<Tensor> in = {at::rand({2, 4, 4, 6}, at::kDouble), at::full({4}, 0.5, at::kDouble),
                                      at::randn({2, skip.channels, skip.height, skip.width}, at::kDouble)};
      both(in, what + ", float64", 1e-14);
      both({in[0].to(at::kFloat), in[1].to(at::kFloat), in[2].to(at::kFloat)}, what + ", float32", 1e-6);
      if (slopes.before == 1 && slopes.after != 1) expect_gradients(f, in, what);
    }
  }
  const Tensor x = at::randn({2, 64, 8, 8}), bias = at::randn({64}), skip = at::randn({2, 32, 4, 4});
  const Tensor half = ops::norm_act_skip(x.to(at::kBFloat16), bias.to(at::kBFloat16), skip.to(at::kBFloat16),
                                         ops::kNormThenAct);
  expect_close(half.to(at::kFloat), ops::norm_act_skip_reference(x, bias, skip, ops::kNormThenAct), 0.02,
               "norm_act_skip, bfloat16");
  // The widths of the skip go every way.
  for (const int64_t size : {2, 4, 8})
    for (const int64_t channels : {4, 8, 16}) {
      const auto gradients = [&](at::ScalarType type) {
        at::manual_seed(5);
        std::vector<Tensor> in;
        for (const Tensor& t :
             {at::randn({2, 8, 4, 4}), at::randn({8}), at::randn({2, channels, size, size})})
          in.push_back(t.to(at::kBFloat16).to(type).requires_grad_(true));
        const Tensor y = ops::norm_act_skip(in[0], in[1], in[2], ops::kNormThenAct);
        return torch::autograd::grad({y}, in, {at::randn(y.sizes()).to(type)});
      };
      const auto wanted = gradients(at::kFloat), found = gradients(at::kBFloat16);
      for (size_t i = 0; i < wanted.size(); ++i)
        expect_close(found[i].to(at::kFloat), wanted[i], 0.02,
                     "norm_act_skip, bfloat16, gradient " + std::to_string(i));
    }
  const Tensor zeros = at::zeros({1, 4, 2, 2});
  expect(ops::norm_act_skip(zeros, {}, {}, ops::kNormThenAct).equal(zeros), "norm_act_skip of zeros");
  bool refused = false;
  try {
    ops::norm_act_skip(x, bias, at::randn({2, 64, 3, 3}), ops::kNormThenAct);
  } catch (const c10::Error&) {
    refused = true;
  }
  expect(refused, "norm_act_skip refuses a skip whose size does not divide");
}

}  // namespace san::test
