// The guard of a step: what must not reach the parameters.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "san/parameters.h"
#include "san/training_step.h"

namespace san {

/// What is not finite has a number: the losses first, then the generator's gradients, then the reverser's.
inline constexpr int32_t kAllFinite = std::numeric_limits<int32_t>::max();

/// Of gradient k of a network, as it lines up with parameters.indices(net).
int32_t fault_of(Net net, size_t k, const ParameterStore& parameters);

/// As StepOutcome::not_finite names it; empty for kAllFinite.
std::string name_of_fault(int32_t fault, const ParameterStore& parameters);

/// The first loss, or else gradient, that is not finite, by name; empty when all are.
std::string first_not_finite(const StepResult& result, const ParameterStore& parameters);

}  // namespace san
