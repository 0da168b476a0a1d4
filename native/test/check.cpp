#include "check.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "memory/caching_allocator.h"

namespace san::test {
namespace {

int expectations = 0, failed = 0;

using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

std::vector<at::Tensor> leaves(const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> out;
  for (const at::Tensor& input : inputs) out.push_back(input.detach().clone().requires_grad_(true));
  return out;
}

/// d f / d input by central differences; f is scalar.
at::Tensor numeric_gradient(const Function& f, const std::vector<at::Tensor>& inputs, size_t which) {
  constexpr double kStep = 1e-6;
  std::vector<at::Tensor> moved;
  for (const at::Tensor& input : inputs) moved.push_back(input.detach().clone());
  at::Tensor flat = moved[which].view(-1), out = at::zeros_like(flat);
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const double value = flat[i].item<double>();
    flat[i] = value + kStep;
    const double above = f(moved).item<double>();
    flat[i] = value - kStep;
    const double below = f(moved).item<double>();
    flat[i] = value;
    out[i] = (above - below) / (2 * kStep);
  }
  return out.view_as(moved[which]);
}

void expect_gradient(const Function& scalar, const std::vector<at::Tensor>& inputs, const std::string& what) {
  const auto variables = leaves(inputs);
  const auto gradients = torch::autograd::grad({scalar(variables)}, variables, {}, std::nullopt,
                                               /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = what + ", input " + std::to_string(i);
    const at::Tensor numeric = numeric_gradient(scalar, inputs, i);
    // A function that is linear in an input has no second derivative there; differences see rounding alone.
    if (gradients[i].defined())
      expect_close(gradients[i], numeric, 2e-7, name);
    else
      expect(numeric.abs().max().item<double>() < 1e-6, name + ", which has no gradient");
  }
}

void expect_both_orders(const Function& f, const std::vector<at::Tensor>& inputs, const std::string& what) {
  const at::Tensor weight = at::randn_like(f(inputs));
  const Function weighted = [&](const std::vector<at::Tensor>& x) { return (weight * f(x)).sum(); };
  expect_gradient(weighted, inputs, what + ", first order");

  std::vector<at::Tensor> directions;
  for (const at::Tensor& input : inputs) directions.push_back(at::randn_like(input));
  const Function directional = [&](const std::vector<at::Tensor>& x) {
    const at::AutoGradMode grad_mode(true);
    std::vector<at::Tensor> variables;
    for (const at::Tensor& input : x)
      variables.push_back(input.requires_grad() ? input : input.detach().requires_grad_(true));
    const auto gradients =
        torch::autograd::grad({weighted(variables)}, variables, {}, std::nullopt, /*create_graph=*/true);
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (size_t i = 0; i < gradients.size(); ++i) sum = sum + (gradients[i] * directions[i]).sum();
    return sum;
  };
  expect_gradient(directional, inputs, what + ", second order");
}

}  // namespace

void expect(bool ok, const std::string& what) {
  ++expectations;
  if (ok) return;
  ++failed;
  std::printf("FAILED %s\n", what.c_str());
}

void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance, const std::string& what) {
  if (a.sizes() != b.sizes()) return expect(false, what + ": shapes differ");
  const double gap = (a - b).abs().max().item<double>();
  const double largest = b.abs().max().item<double>();
  char numbers[80];
  std::snprintf(numbers, sizeof numbers, ": error %.3g where the largest value is %.3g", gap, largest);
  expect(gap <= tolerance * largest, what + numbers);
}

void expect_gradients(const Function& f, const std::vector<at::Tensor>& inputs, const std::string& what) {
  expect_both_orders(f, inputs, what);
#if defined(SAN_NATIVE_CUDA)
  if (!kernels_can_run()) return;
  const Function on_gpu = [&](const std::vector<at::Tensor>& x) {
    std::vector<at::Tensor> moved;
    for (const at::Tensor& t : x) moved.push_back(t.to(at::kCUDA));
    return f(moved).to(at::kCPU);
  };
  expect_both_orders(on_gpu, inputs, what + ", on the GPU");
#endif
}

}  // namespace san::test

int main(int argc, char** argv) {
  using namespace san::test;
  const std::string option = argc > 1 ? argv[1] : "";
  if (argc > 2 || (argc == 2 && option != "--no-large")) {
    std::fprintf(stderr, "usage: san_core_tests [--no-large]\n");
    return 2;
  }
  san::use_caching_allocator();
  at::manual_seed(1);
  random_tests();
  assignment_tests();
  ado_gate_tests();
  attention_tests();
  feed_tests();
  finite_tests();
  full_memory_tests();
  caching_allocator_tests();
#if !defined(SAN_NATIVE_CUDA)
  cuda_emulation_tests();
#endif
  emit_tests();
  norm_act_skip_tests();
  parallel_tests();
  if (kernels_can_run()) {
    emit_cuda_tests();
    feed_cuda_tests();
    gates_cuda_tests();
    norm_act_skip_cuda_tests();
    random_cuda_tests();
    shared_step_cuda_tests();
    if (option == "--no-large")
      std::printf("--no-large: the kernels' tests on tensors of more than 2^31 elements are skipped\n");
    else
      large_cuda_tests();
  } else {
    std::printf("no GPU: the kernels' tests are skipped\n");
  }
  rpa_gate_tests();
  shared_step_tests();
  steady_state_tests();
  step_tests();
  std::printf("%d expectations, %d failed\n", expectations, failed);
  return failed == 0 ? 0 : 1;
}
