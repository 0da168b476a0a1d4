// How long work takes where it runs: by a GPU's own clock, or by the processor's.
#pragma once

#include <c10/core/Device.h>

#include <functional>

namespace san::profiling {

/// Median seconds of one call of `f`, which gives work to the current stream of `device`, over about
/// `seconds`; the first calls are a warm-up.
double seconds_of(const c10::Device& device, double seconds, const std::function<void()>& f);

}  // namespace san::profiling
