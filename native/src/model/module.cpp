#include "model/module.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <tuple>

#include "model/layers.h"

namespace san {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor run(const ModuleParameters& p, Tensor x, const ModuleSettings& s) {
  const auto stride = [&](int b) { return b == 0 ? s.stride : 1; };
  if (s.net == Net::generator) {
    x = layers::ado(p.ado, x, s.ado_threshold);
    for (int b = 0; b < kBlocks; ++b) x = layers::generator_block(p.blocks[b], x, stride(b));
    return layers::rpa(p.rpa, x);
  }
  x = layers::rpa(p.rpa, x);
  for (int b = kBlocks - 1; b >= 0; --b) x = layers::reverser_block(p.blocks[b], x, stride(b));
  return layers::ado(p.ado, x, s.ado_threshold);
}

/// Calls f with each tensor of a module, in one order.
template <typename Parameters, typename F>
void each_tensor(Parameters& p, const F& f) {
  for (auto& block : p.blocks) {
    f(block.kernel);
    f(block.bias);
    f(block.attention.squeeze_weight);
    f(block.attention.squeeze_bias);
    f(block.attention.excite_weight);
    f(block.attention.excite_bias);
  }
  for (auto* gate : {&p.ado, &p.rpa}) {
    f(gate->squeeze_weight);
    f(gate->squeeze_bias);
    f(gate->gate_weight);
    f(gate->gate_bias);
  }
}

constexpr size_t kTensors = 6 * kBlocks + 2 * 4;

/// A module whose backward pass runs it again.
class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  template <typename... Tensors>
  static Tensor forward(AutogradContext* context, int64_t net, int64_t stride, double ado_threshold,
                        const Tensor& x, const Tensors&... parameters) {
    context->saved_data["net"] = net;
    context->saved_data["stride"] = stride;
    context->saved_data["ado_threshold"] = ado_threshold;
    context->save_for_backward({x, parameters...});
    return run(module_of({parameters...}), x, settings(context));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "a module that is recomputed has no second derivative");
    variable_list inputs, wanted;
    for (const Tensor& saved : context->get_saved_variables()) {
      inputs.push_back(saved.detach());
      if (!context->needs_input_grad(inputs.size() - 1)) continue;
      inputs.back().requires_grad_(true);
      wanted.push_back(inputs.back());
    }
    variable_list found;
    {
      const at::AutoGradMode grad_mode(true);
      std::array<Tensor, kTensors> parameters;
      std::copy_n(inputs.begin() + 1, kTensors, parameters.begin());
      const Tensor y = run(module_of(parameters), inputs[0], settings(context));
      found = torch::autograd::grad({y}, wanted, {gradients[0]}, /*retain_graph=*/false,
                                    /*create_graph=*/false, /*allow_unused=*/true);
    }
    // The three numbers come first.
    variable_list out(3);
    auto next = found.begin();
    for (const Tensor& input : inputs) out.push_back(input.requires_grad() ? *next++ : Tensor());
    return out;
  }

 private:
  static ModuleParameters module_of(const std::array<Tensor, kTensors>& tensors) {
    ModuleParameters p;
    auto next = tensors.begin();
    each_tensor(p, [&](Tensor& tensor) { tensor = *next++; });
    return p;
  }

  static ModuleSettings settings(AutogradContext* context) {
    return {static_cast<Net>(context->saved_data["net"].toInt()), context->saved_data["stride"].toInt(),
            context->saved_data["ado_threshold"].toDouble()};
  }
};

}  // namespace

Tensor run_module(const ModuleParameters& parameters, const Tensor& x, const ModuleSettings& s) {
  if (!s.recompute || !at::GradMode::is_enabled()) return run(parameters, x, s);
  std::array<Tensor, kTensors> tensors;
  auto next = tensors.begin();
  each_tensor(parameters, [&](const Tensor& tensor) { *next++ = tensor; });
  return std::apply(
      [&](const auto&... tensor) {
        return Recomputed::apply(static_cast<int64_t>(s.net), s.stride, s.ado_threshold, x, tensor...);
      },
      tensors);
}

}  // namespace san
