// Host entry of the update; params.h has the formula.
#pragma once

#include "ops/shared_step/params.h"

namespace san::ops {

/// A kernel that both networks share. SAN_NATIVE_REFERENCE=1 in the environment takes shared_step_reference.
template <typename T>
void shared_step(const SharedStepParams<T>& p, const NetworkUpdate<T>& generator,
                 const NetworkUpdate<T>& reverser);

/// A parameter of one network alone.
template <typename T>
void own_step(const SharedStepParams<T>& p, const NetworkUpdate<T>& own);

/// The same as shared_step, built of ATen calls. They agree to 1e-13 of the largest value in float64, 1e-6 in
/// float32.
template <typename T>
void shared_step_reference(const SharedStepParams<T>& p, const NetworkUpdate<T>& generator,
                           const NetworkUpdate<T>& reverser);

/// The same as own_step, built of ATen calls.
template <typename T>
void own_step_reference(const SharedStepParams<T>& p, const NetworkUpdate<T>& own);

}  // namespace san::ops
