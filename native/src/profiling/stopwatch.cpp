#include "profiling/stopwatch.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "san/device.h"
#ifdef SAN_NATIVE_CUDA
#include <c10/cuda/CUDAStream.h>

#include <string>

#include "device/captured.h"
#endif

namespace san::profiling {
namespace {

/// What a sample takes at least, so that launches and clocks do not count.
constexpr double kSample = 2e-3;
constexpr int kWarmUps = 4;

double seconds_by_clock(const std::function<void()>& f, int calls) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double seconds_by_events(const c10::Device& device, const std::function<void()>& f, int calls) {
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  // Only events of this flag know times.
  c10::Event begin(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  c10::Event end(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  begin.record(stream);
  for (int i = 0; i < calls; ++i) f();
  end.record(stream);
  end.synchronize();
  return begin.elapsedTime(end) / 1e3;
}

}  // namespace

double seconds_of(const c10::Device& device, double seconds, const std::function<void()>& f) {
  const auto sample = [&](const std::function<void()>& work, int calls) {
    return device.is_cpu() ? seconds_by_clock(work, calls) : seconds_by_events(device, work, calls);
  };
  for (int i = 0; i < kWarmUps; ++i) f();
  synchronise(device);
  const double once = std::max(1e-7, sample(f, 1));
  const int calls = std::max(1, static_cast<int>(std::ceil(kSample / once)));
  const int samples = std::clamp(static_cast<int>(seconds / (once * calls)), 3, 101);
  std::function<void()> all = [&] {
    for (int i = 0; i < calls; ++i) f();
  };
#ifdef SAN_NATIVE_CUDA
  device::Captured captured;
  std::string obstacle = device::capture_obstacle();
  const std::function<void()> calls_of_f = all;
  if (device.is_cuda() &&
      c10::cuda::getCurrentCUDAStream(device.index()) != c10::cuda::getDefaultCUDAStream(device.index())) {
    all = [&] { captured.queue(calls_of_f, obstacle); };
    for (int i = 0; i < kWarmUps; ++i) all();
    synchronise(device);
  }
#endif
  std::vector<double> times;
  for (int i = 0; i < samples; ++i) times.push_back(sample(all, 1) / calls);
  std::nth_element(times.begin(), times.begin() + samples / 2, times.end());
  return times[static_cast<size_t>(samples / 2)];
}

}  // namespace san::profiling
