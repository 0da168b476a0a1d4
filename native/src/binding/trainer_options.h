// What the trainer's calls take, checked field by field. Main thread only.
#pragma once

#include <vector>

#include "binding/options.h"
#include "san/trainer.h"

namespace san::binding {

/// What TrainerConfig holds of TrainerOptions, but for the device.
TrainerConfig read_trainer_config(Options& options);

/// StepSchedule: one value a step in each array.
std::vector<StepRates> read_schedule(Options options, int64_t steps);

/// FixedInputs.
StepInputs read_inputs(Options options, const ModelConfig& model, at::ScalarType dtype);

}  // namespace san::binding
