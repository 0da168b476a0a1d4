#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "metrics/check.h"
#include "metrics/descriptors.h"
#include "metrics/radix_sort.h"
#include "parallel.h"
#include "random/random.h"
#include "san/metrics.h"

namespace san {
namespace {

using metrics::Level;

constexpr int64_t kSmallest = 16;
/// Projections of one batch held at a time: 64 MiB.
constexpr int64_t kProjections = int64_t{1} << 24;
/// Directions taken at a time, at most.
constexpr int64_t kDirections = 256;

void check_images(const at::Tensor& images, const std::string& name) {
  const auto fail = [&](const std::string& text) {
    throw Error(kOptions, name + ".shape is " + metrics::shape_text(images) + "; " + text, name + ".shape");
  };
  if (images.dim() != 4 || images.size(0) < 1 || images.size(3) < 1) fail("it must be [N, S, S, C]");
  if (images.size(1) != images.size(2)) fail("images must be as wide as they are high");
  if (images.size(1) < kSmallest) fail("images must have at least 16 by 16 pixels");
}

/// Unit vectors `begin`... of a level, (count, dimensions).
at::Tensor directions_of(uint64_t seed, uint64_t level, int64_t begin, int64_t count, int64_t dimensions) {
  const random::Key first = {seed, random::Stream::metric_direction,
                             (level << 32) + static_cast<uint64_t>(begin)};
  const at::Tensor drawn = random::normal_rows(first, count, dimensions);
  return drawn / drawn.square().sum(1, /*keepdim=*/true).sqrt_();
}

/// Mean distance of two sorted rows; sorts them.
double row_distance(float* a, float* b, size_t n, std::vector<uint32_t>& one, std::vector<uint32_t>& two) {
  metrics::radix_sort(a, n, one, two);
  metrics::radix_sort(b, n, one, two);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
  return sum / static_cast<double>(n);
}

/// Mean over the directions of the Wasserstein-1 distance of the projections of two equally large sets.
double distance(const at::Tensor& real, const at::Tensor& fake, const SlicedWassersteinConfig& config,
                uint64_t level, const Cancelled& cancelled) {
  const int64_t n = real.size(0), all = config.directions;
  const int64_t block = std::clamp<int64_t>(kProjections / n, 1, kDirections);
  std::vector<double> distances(static_cast<size_t>(all));
  for (int64_t begin = 0; begin < all; begin += block) {
    stop_if(cancelled);
    const at::Tensor some =
        directions_of(config.seed, level, begin, std::min(block, all - begin), real.size(1));
    const at::Tensor a = some.matmul(real.t()).contiguous(), b = some.matmul(fake.t()).contiguous();
    float* rows_a = a.mutable_data_ptr<float>();
    float* rows_b = b.mutable_data_ptr<float>();
    at::parallel_for(0, some.size(0), 1, [&](int64_t first, int64_t end) {
      std::vector<uint32_t> one, two;
      for (int64_t row = first; row < end && !(cancelled && cancelled()); ++row)
        distances[static_cast<size_t>(begin + row)] =
            row_distance(rows_a + row * n, rows_b + row * n, static_cast<size_t>(n), one, two);
    });
  }
  stop_if(cancelled);
  double sum = 0;
  for (const double value : distances) sum += value;
  return sum / static_cast<double>(all);
}

}  // namespace

std::vector<LevelDistance> sliced_wasserstein(const at::Tensor& real, const at::Tensor& fake,
                                              const SlicedWassersteinConfig& config,
                                              const Cancelled& cancelled) {
  check_images(real, "real");
  check_images(fake, "fake");
  if (real.sizes() != fake.sizes())
    throw Error(kOptions,
                "fake.shape is " + metrics::shape_text(fake) + " but real.shape is " +
                    metrics::shape_text(real) + "; as many images of the same size are needed",
                "fake.shape");

  std::vector<LevelDistance> out;
  at::Tensor next_real = real, next_fake = fake;
  for (int64_t size = real.size(1); next_real.defined(); size /= 2) {
    const uint64_t number = out.size();
    const bool last = size % 2 != 0 || size / 2 < kSmallest;
    const auto take = [&](const at::Tensor& images, uint64_t side) {
      return metrics::take_level(images, last, config.patches_per_image,
                                 {config.seed, (2 * number + side) << 32}, cancelled);
    };
    const Level a = take(next_real, 0), b = take(next_fake, 1);
    out.push_back({size, 1000 * distance(a.descriptors, b.descriptors, config, number, cancelled)});
    next_real = a.next;
    next_fake = b.next;
  }
  return out;
}

}  // namespace san
