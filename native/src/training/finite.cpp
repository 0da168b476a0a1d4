#include "training/finite.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <cmath>

#include "ops/reference.h"

namespace san {
namespace {

template <typename T>
SAN_CLONES bool all_finite(const T* x, int64_t n) {
  // 0 times infinity or NaN is NaN.
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i] * T(0);
  return sum == T(0);
}

/// Any dense layout: order does not matter. LibTorch has an array of flags or a norm for each, which is
/// slower.
bool is_finite(const at::Tensor& values) {
  const at::Tensor dense = values.is_non_overlapping_and_dense() ? values : values.contiguous();
  return AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "is_finite", [&] {
    return all_finite<scalar_t>(dense.const_data_ptr<scalar_t>(), dense.numel());
  });
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
