#include "check.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <set>

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

namespace {

struct Group {
  const char* name;
  void (*tests)();
  bool runs = true;
};

/// What a group throws is a failure of its own; the others run all the same.
void run_group(const Group& group) {
  const auto begin = std::chrono::steady_clock::now();
  try {
    group.tests();
  } catch (const std::exception& error) {
    san::test::expect(false, std::string(group.name) + " threw: " + error.what());
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (seconds.count() > 1) std::printf("%s: %.1f s\n", group.name, seconds.count());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace san::test;
  bool no_large = false;
  std::set<std::string> only;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--no-large") {
      no_large = true;
    } else if (argument.starts_with("-")) {
      std::fprintf(stderr, "usage: san_core_tests [--no-large] [GROUP...]\n");
      return 2;
    } else {
      only.insert(argument);
    }
  }
  san::use_caching_allocator();
  at::manual_seed(1);
  const bool kernels = kernels_can_run(), large = kernels && !no_large;
  const std::vector<Group> groups {
    {"random", random_tests}, {"assignment", assignment_tests}, {"ado_gate", ado_gate_tests},
        {"attention", attention_tests}, {"convolution", convolution_tests}, {"feed", feed_tests},
        {"finite", finite_tests}, {"full_memory", full_memory_tests},
        {"caching_allocator", caching_allocator_tests},
#if !defined(SAN_NATIVE_CUDA)
        {"cuda_emulation", cuda_emulation_tests},
#endif
        {"emit", emit_tests}, {"norm_act_skip", norm_act_skip_tests}, {"parallel", parallel_tests},
        {"penalty", penalty_tests}, {"polyphase", polyphase_tests}, {"emit_cuda", emit_cuda_tests, kernels},
        {"feed_cuda", feed_cuda_tests, kernels}, {"gates_cuda", gates_cuda_tests, kernels},
        {"norm_act_skip_cuda", norm_act_skip_cuda_tests, kernels},
        {"polyphase_cuda", polyphase_cuda_tests, kernels}, {"random_cuda", random_cuda_tests, kernels},
        {"shared_step_cuda", shared_step_cuda_tests, kernels}, {"large_cuda", large_cuda_tests, large},
        {"rpa_gate", rpa_gate_tests}, {"shared_step", shared_step_tests}, {"shift", shift_tests},
        {"steady_state", steady_state_tests}, {
      "step", step_tests
    }
  };
  for (const std::string& name : only)
    if (std::none_of(groups.begin(), groups.end(), [&](const Group& group) { return name == group.name; })) {
      std::fprintf(stderr, "there is no group %s of tests\n", name.c_str());
      return 2;
    }
  for (const Group& group : groups)
    if (group.runs && (only.empty() || only.contains(group.name))) run_group(group);
  if (!kernels) std::printf("no GPU: the kernels' tests are skipped\n");
  if (kernels && !large)
    std::printf("--no-large: the kernels' tests on tensors of more than 2^31 elements are skipped\n");
  std::printf("%d expectations, %d failed\n", expectations, failed);
  return failed == 0 ? 0 : 1;
}
