#include "training/finite.h"

#include <ATen/ATen.h>

#include <cmath>

namespace san {
namespace {

// A norm is one pass without an array of flags in between.
bool is_finite(const at::Tensor& values) {
  return std::isfinite(at::linalg_vector_norm(values).item<double>());
}

}  // namespace

std::string first_not_finite(const StepResult& result, const ParameterStore& parameters) {
  for (size_t i = 0; i < result.losses.size(); ++i)
    if (!std::isfinite(result.losses[i])) return std::string("loss ") + kLossNames[i];
  for (const Net net : {Net::generator, Net::reverser}) {
    const auto& gradients = net == Net::generator ? result.generator_gradients : result.reverser_gradients;
    for (size_t k = 0; k < gradients.size(); ++k)
      if (!is_finite(gradients[k]))
        return "gradient of " + parameters.spec(parameters.indices(net)[k]).name + " in the " + name_of(net);
  }
  return {};
}

}  // namespace san
