#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "san/losses.h"

namespace san {

at::Tensor gradient_penalty(const ModelConfig& config, const NetworkParameters& reverser,
                            const at::Tensor& real, const at::Tensor& fake, const at::Tensor& e,
                            const at::Tensor& u) {
  const at::Tensor h = (e * real + (1 - e) * fake.detach()).detach().requires_grad_(true);
  const at::Tensor projected = (reverse(config, reverser, h).flatten(1) * u).sum();
  const at::Tensor gradient = torch::autograd::grad({projected}, {h}, {}, /*retain_graph=*/true,
                                                    /*create_graph=*/true)[0];
  return (gradient.flatten(1).norm(2, {1}) - 1).square().mean();
}

}  // namespace san
