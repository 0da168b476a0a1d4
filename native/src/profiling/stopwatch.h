// How long work takes where it runs: by a GPU's own clock, or by the processor's.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#ifdef SAN_NATIVE_CUDA
#include <c10/cuda/CUDAGuard.h>

#include <optional>
#endif

namespace san::profiling {

/// While it lives, this thread's work on a GPU goes to a stream of its own, where it can be captured. Tensors
/// with a graph that seconds_of() goes back through must come from there too.
class OwnStream {
 public:
  explicit OwnStream([[maybe_unused]] const c10::Device& device) {
#ifdef SAN_NATIVE_CUDA
    if (device.is_cuda())
      guard_.emplace(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index()));
#endif
  }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

 private:
#ifdef SAN_NATIVE_CUDA
  std::optional<c10::cuda::CUDAStreamGuard> guard_;
#endif
};

/// Median seconds of one call of `f`, which gives work to the current stream of `device`, over about
/// `seconds`; the first calls are a warm-up. Within an OwnStream a GPU replays calls that were captured, so
/// that what the processor takes to launch them does not count; where they cannot be captured it does, and
/// LibTorch warns.
double seconds_of(const c10::Device& device, double seconds, const std::function<void()>& f);

}  // namespace san::profiling
