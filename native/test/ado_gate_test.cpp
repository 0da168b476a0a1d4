#include "ops/ado_gate/ado_gate.h"

#include <torch/csrc/autograd/autograd.h>

#include "check.h"

namespace san::test {

// Finite differences cannot see a straight-through gradient, so gradients are held to the reference's.
void ado_gate_tests() {
  constexpr double kThreshold = 0.3;
  for (const int64_t channels : {1, 3, 16, 33}) {
    const std::string what = "ado_gate, channels " + std::to_string(channels);
    const at::Tensor x = at::randn({2, channels, 3, 5}, at::kDouble).requires_grad_(true);
    const at::Tensor l = at::randn({2, channels, 3, 5}, at::kDouble).requires_grad_(true);
    const at::Tensor g = at::randn({2, channels, 3, 5}, at::kDouble).requires_grad_(true);
    const at::Tensor bias = at::randn({channels}, at::kDouble).requires_grad_(true);
    const at::Tensor v = at::randn({2, channels, 3, 5}, at::kDouble),
                     w = at::randn({2, channels, 3, 5}, at::kDouble);
    const auto derivatives = [&](const at::Tensor& y, bool differentiable) {
      return torch::autograd::grad({y}, {x, l, bias}, {g}, /*retain_graph=*/true, differentiable);
    };
    const auto second = [&](const at::Tensor& y) {
      const auto first = derivatives(y, true);
      return torch::autograd::grad({(first[0] * v + first[1] * w).sum() + first[2].square().sum()},
                                   {x, l, bias, g}, {}, std::nullopt, false, true);
    };
    const at::Tensor y = ops::ado_gate(x, l, bias, kThreshold),
                     expected = ops::ado_gate_reference(x, l, bias, kThreshold);
    expect_close(y, expected, 1e-15, what + ", values");
    const auto fused = derivatives(y, false), composite = derivatives(y, true),
               wanted = derivatives(expected, true);
    for (size_t i = 0; i < wanted.size(); ++i) {
      expect_close(fused[i], wanted[i], 1e-14, what + ", gradient " + std::to_string(i));
      expect_close(composite[i], wanted[i], 1e-14, what + ", differentiable gradient " + std::to_string(i));
    }
    const auto found2 = second(y), wanted2 = second(expected);
    for (size_t i = 0; i < wanted2.size(); ++i)
      expect_close(found2[i], wanted2[i], 1e-14, what + ", second gradient " + std::to_string(i));
  }
}

}  // namespace san::test
