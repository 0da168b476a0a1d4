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

int32_t fault_of(Net net, size_t k, const ParameterStore& parameters) {
  const size_t before = net == Net::generator ? 0 : parameters.indices(Net::generator).size();
  return static_cast<int32_t>(kLossNames.size() + before + k);
}

std::string name_of_fault(int32_t fault, const ParameterStore& parameters) {
  if (fault == kAllFinite) return {};
  auto number = static_cast<size_t>(fault);
  if (number < kLossNames.size()) return std::string("loss ") + kLossNames[number];
  number -= kLossNames.size();
  const size_t of_generator = parameters.indices(Net::generator).size();
  const Net net = number < of_generator ? Net::generator : Net::reverser;
  if (net == Net::reverser) number -= of_generator;
  return "gradient of " + parameters.spec(parameters.indices(net)[number]).name + " in the " + name_of(net);
}

std::string first_not_finite(const StepResult& result, const ParameterStore& parameters) {
  for (size_t i = 0; i < result.losses.size(); ++i)
    if (!std::isfinite(result.losses[i])) return name_of_fault(static_cast<int32_t>(i), parameters);
  for (const Net net : {Net::generator, Net::reverser}) {
    const auto& gradients = net == Net::generator ? result.generator_gradients : result.reverser_gradients;
    for (size_t k = 0; k < gradients.size(); ++k)
      if (!is_finite(gradients[k])) return name_of_fault(fault_of(net, k, parameters), parameters);
  }
  return {};
}

}  // namespace san
