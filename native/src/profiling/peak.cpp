#include "profiling/peak.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "profiling/noise.h"
#include "profiling/stopwatch.h"

namespace san::profiling {
namespace {

constexpr double kSeconds = 0.25;

/// What keeps a processor, or a whole GPU, busy.
struct Sizes {
  int64_t matrix, batch, channels, size, copied;
};
constexpr Sizes kProcessor{1024, 32, 64, 32, 64 << 20}, kGpu{8192, 128, 256, 64, int64_t{1} << 30};

}  // namespace

Peak measure_peak(const c10::Device& device, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const OwnStream own_stream(device);
  const Sizes s = device.is_cpu() ? kProcessor : kGpu;
  const auto options = at::TensorOptions(device).dtype(dtype);
  const auto timed = [&](const auto& f) { return seconds_of(device, kSeconds, f); };
  const double n = static_cast<double>(s.matrix), channels = static_cast<double>(s.channels);
  Peak peak{};
  {
    const at::Tensor a = noise({s.matrix, s.matrix}, options), b = noise_like(a);
    at::Tensor c = at::empty_like(a);
    peak.matmul = 2 * n * n * n / timed([&] { at::mm_out(c, a, b); });
  }
  {
    const at::Tensor x =
        noise({s.batch, s.channels, s.size, s.size}, options).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor w =
        noise({s.channels, s.channels, 3, 3}, options).contiguous(at::MemoryFormat::ChannelsLast);
    const double operations = 2 * 9 * channels * static_cast<double>(x.numel());
    peak.convolution = operations / timed([&] { at::conv2d(x, w, {}, 1, /*padding=*/1); });
  }
  const at::Tensor from = noise({s.copied / 4}, options.dtype(at::kFloat)).view(at::kByte);
  at::Tensor to = at::empty_like(from);
  peak.copy = 2 * static_cast<double>(s.copied) / timed([&] { to.copy_(from); });
  return peak;
}

}  // namespace san::profiling
