// The guard of a step: what must not reach the parameters.
#pragma once

#include <string>

#include "san/parameters.h"
#include "san/training_step.h"

namespace san {

/// The first loss, or else gradient, that is not finite, as StepOutcome::not_finite names it; empty when all
/// are. A gradient whose norm overflows counts as well: AdamW squares it.
std::string first_not_finite(const StepResult& result, const ParameterStore& parameters);

}  // namespace san
