// The projection of one kernel on the device; params.h has the formula.
#pragma once

#include "ops/cuda/types.h"
#include "ops/shared_step/launch.h"

namespace san::ops {

/// value and average lie channels-last: (inputs, 9, outputs). average and copy, a bfloat16 copy of the value,
/// may be null.
template <typename T>
struct Polyphase {
  T* value;
  T* average;
  cuda::Bf16* copy;
  int64_t inputs, outputs;
};

/// Nothing where the state has a fault: such a step changes nothing. `state` may be null.
template <typename T>
void launch_polyphase(const Polyphase<T>& p, const StepState* state, cudaStream_t stream);

}  // namespace san::ops
