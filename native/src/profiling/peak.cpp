#include "profiling/peak.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>

namespace san::profiling {
namespace {

constexpr double kSeconds = 0.25;

/// The fastest of as many calls as fit the time; the first is a warm-up.
template <typename F>
double fastest(const F& f) {
  using Clock = std::chrono::steady_clock;
  const auto elapsed = [](Clock::time_point from) {
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  f();
  double best = 1e9;
  const auto begin = Clock::now();
  do {
    const auto from = Clock::now();
    f();
    best = std::min(best, elapsed(from));
  } while (elapsed(begin) < kSeconds);
  return best;
}

}  // namespace

Peak measure_peak() {
  const at::NoGradGuard no_grad;
  constexpr double n = 1024, batch = 32, channels = 64, size = 32, kernel = 9;
  const at::Tensor a = at::ones({1024, 1024}), b = at::ones({1024, 1024});
  at::Tensor c = at::empty({1024, 1024});
  const double product = fastest([&] { at::mm_out(c, a, b); });
  const at::Tensor x = at::ones({32, 64, 32, 32}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor w = at::ones({64, 64, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  const double convolution = fastest([&] { at::conv2d(x, w, {}, 1, /*padding=*/1); });
  return {2 * n * n * n / product, 2 * batch * channels * channels * kernel * size * size / convolution};
}

}  // namespace san::profiling
