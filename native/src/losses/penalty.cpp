#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "san/losses.h"

namespace san {
namespace {

/// d<R(h), u>/dh as rows (B, C * S * S), differentiable in R's parameters.
at::Tensor slopes(const ModelConfig& config, const NetworkParameters& reverser, const at::Tensor& images,
                  const at::Tensor& u) {
  const at::Tensor h = images.detach().requires_grad_(true);
  const at::Tensor projected = (reverse(config, reverser, h).flatten(1) * u).sum();
  return torch::autograd::grad({projected}, {h}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0].flatten(
      1);
}

}  // namespace

at::Tensor gradient_penalty(const ModelConfig& config, const NetworkParameters& reverser,
                            const at::Tensor& real, const at::Tensor& fake, const at::Tensor& e,
                            const at::Tensor& u) {
  const at::Tensor between = e * real + (1 - e) * fake.detach();
  return (slopes(config, reverser, between, u).norm(2, {1}) - 1).square().mean();
}

at::Tensor r1_penalty(const ModelConfig& config, const NetworkParameters& reverser, const at::Tensor& real,
                      const at::Tensor& u) {
  return slopes(config, reverser, real, u).square().sum({1}).mean();
}

}  // namespace san
