// Host entry of the update; params.h has the formula.
#pragma once

#include "ops/shared_step/params.h"

namespace san::ops {

/// A kernel that both networks share.
template <typename T>
void shared_step(const SharedStepParams<T>& p, const NetworkUpdate<T>& generator,
                 const NetworkUpdate<T>& reverser);

/// A parameter of one network alone.
template <typename T>
void own_step(const SharedStepParams<T>& p, const NetworkUpdate<T>& own);

}  // namespace san::ops
