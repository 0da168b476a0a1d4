#include "ops/convolution/convolution.h"

#include <torch/csrc/autograd/autograd.h>

#include <array>

#include "check.h"

namespace san::test {
namespace {

using at::Tensor;
using ops::ConvolutionShape;
using Operation = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const ConvolutionShape&);

struct Case {
  std::array<int64_t, 4> x, w;
  ConvolutionShape shape;
};

std::string name_of(const Case& c) {
  return "convolution of " + std::to_string(c.x[2]) + " x " + std::to_string(c.x[3]) + " by " +
         std::to_string(c.w[2]) + " x " + std::to_string(c.w[3]) + ", stride " +
         std::to_string(c.shape.stride) + ", padding " + std::to_string(c.shape.padding);
}

std::vector<Tensor> inputs(const Case& c, at::ScalarType type) {
  const auto last = [&](const std::array<int64_t, 4>& sizes) {
    return at::randn(sizes, at::kDouble).to(type).contiguous(at::MemoryFormat::ChannelsLast);
  };
  return {last(c.x), last(c.w), at::randn({c.w[0]}, at::kDouble).to(type)};
}

/// y, its gradients, and those of a penalty on the gradient of x, as the gradient penalty takes them.
std::vector<Tensor> results(Operation f, const Case& c, const std::vector<Tensor>& in) {
  std::vector<Tensor> leaves;
  for (const Tensor& t : in) leaves.push_back(t.detach().requires_grad_(true));
  const Tensor y = f(leaves[0], leaves[1], leaves[2], c.shape);
  const Tensor g = at::sin(at::arange(y.numel(), y.options()).view(y.sizes()));
  std::vector<Tensor> out = torch::autograd::grad({y}, leaves, {g}, /*retain_graph=*/true);
  out.insert(out.begin(), y.detach());
  const Tensor dx = torch::autograd::grad({(y * y).sum()}, {leaves[0]}, {}, /*retain_graph=*/true,
                                          /*create_graph=*/true)[0];
  for (const Tensor& second : torch::autograd::grad({dx.square().sum()}, leaves)) out.push_back(second);
  return out;
}

void compare(const Case& c, at::ScalarType type, double tolerance) {
  const auto in = inputs(c, type);
  const auto found = results(ops::convolution, c, in), wanted = results(ops::convolution_reference, c, in);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string name = name_of(c) + ", " + at::toString(type) + ", result " + std::to_string(i);
    if (i <= in.size())
      expect(found[i].equal(wanted[i]), name);
    else
      expect_close(found[i], wanted[i], tolerance, name);
  }
}

}  // namespace

void convolution_tests() {
  const std::vector<Case> cases = {{{2, 3, 5, 4}, {4, 3, 3, 3}, {1, 1}},
                                   {{3, 2, 6, 4}, {3, 2, 3, 3}, {2, 1}},
                                   {{1, 4, 5, 7}, {2, 4, 3, 3}, {2, 1}},
                                   {{2, 3, 1, 1}, {2, 3, 3, 3}, {2, 1}},
                                   {{2, 3, 2, 3}, {5, 3, 1, 1}, {}}};
  for (const Case& c : cases) {
    compare(c, at::kDouble, 1e-13);
    compare(c, at::kFloat, 1e-5);
    for (const bool biased : {true, false}) {
      auto in = inputs(c, at::kDouble);
      if (!biased) in.pop_back();
      for (Tensor& t : in) t = t.contiguous();
      expect_gradients(
          [&](const std::vector<Tensor>& t) {
            // Not linear, so that there is a second derivative in each.
            return ops::convolution(t[0], t[1], biased ? t[2] : Tensor(), c.shape).square();
          },
          in, name_of(c) + (biased ? "" : ", without a bias"));
    }
  }
}

}  // namespace san::test
