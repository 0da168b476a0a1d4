#include "profiling/device_events.h"

#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <chrono>
#include <set>

namespace san::profiling {
namespace {

namespace kineto = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

/// Kineto's clock.
int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

thread_local int64_t began = 0;

bool a_device_is_used() {
  for (int i = 0; i < c10::cuda::device_count(); ++i)
    if (c10::cuda::hasPrimaryContext(static_cast<c10::DeviceIndex>(i))) return true;
  return false;
}

}  // namespace

bool start_device_events() {
  if (!a_device_is_used()) return false;
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  // The processor's side is recorded by profiler.cpp.
  const std::set<ActivityType> activities{ActivityType::CUDA};
  try {
    c10::cuda::device_synchronize();
    kineto::prepareProfiler(config, activities);
    kineto::enableProfiler(config, activities);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    TORCH_WARN("the profile has no times of the GPU's: ", text.substr(0, text.find('\n')));
    return false;
  }
  began = now();
  return true;
}

std::vector<DeviceEvent> stop_device_events() {
  c10::cuda::device_synchronize();
  std::vector<DeviceEvent> events;
  const auto result = kineto::disableProfiler();
  for (const kineto::KinetoEvent& event : result->events()) {
    if (event.deviceType() != c10::DeviceType::CUDA) continue;
    const auto begin = static_cast<int64_t>(event.startNs()) - began;
    events.push_back(
        {event.name(), event.deviceResourceId(), begin, begin + static_cast<int64_t>(event.durationNs())});
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const DeviceEvent& a, const DeviceEvent& b) { return a.begin < b.begin; });
  return events;
}

}  // namespace san::profiling
